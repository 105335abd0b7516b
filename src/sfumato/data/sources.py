"""Which reader a source belongs to.

A built-in name wins over a file of that name, which can be given as "./digits" or a Path.
"""

import os
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path

import numpy as np

from sfumato.data import array_files, tables
from sfumato.data.archives import open_files
from sfumato.data.arrays import found_in_arrays
from sfumato.data.builtin import BUILT_IN
from sfumato.data.celeba import find_celeba
from sfumato.data.cifar import find_cifar
from sfumato.data.files import Files, FolderFiles
from sfumato.data.folders import find_folder
from sfumato.data.found import Found
from sfumato.data.hub import HubName
from sfumato.data.idx import find_idx
from sfumato.data.listing import picture_names
from sfumato.data.nested import NestedFiles, first_shard
from sfumato.errors import DataError

Source = str | Path | np.ndarray
IN_MEMORY = "an array in memory"

# Each returns None where it finds nothing of its kind.
LAYOUTS = (find_idx, find_cifar, find_celeba, find_folder)
_ENDINGS = (".zip", ".tar", ".tgz", ".tar.gz", ".tar.xz", ".tar.bz2", *array_files.ENDINGS, *tables.ENDINGS)


def find(source: Source, seed: int, memory_limit: int) -> Found:
    """Hand `source` to its reader.

    seed: of data drawn by a formula; memory_limit: bytes that the members of a compressed tar may take.
    Raises DataError where the source is missing, unknown or broken.
    """
    if isinstance(source, np.ndarray):
        return found_in_arrays(source)
    if source in BUILT_IN:
        return BUILT_IN[str(source)](seed)
    hub = HubName.parse(source)
    where = os.path.expanduser(hub.fetch() if hub else source)
    if not os.path.exists(where):  # unlike Path's, false for an empty or overlong name too
        raise DataError(_missing(str(source)))
    path = Path(where)
    if path.suffix.lower() in array_files.ENDINGS and path.is_file():
        return array_files.read_array_file(path)
    if path.suffix.lower() in tables.ENDINGS and path.is_file():
        return tables.read_tables(path.parent, (path.name,), memory_limit)
    files = open_files(path, memory_limit)
    if isinstance(files, FolderFiles) and (names := tables.table_names(files.names)):
        return _in_tables(files, names, memory_limit)
    if (found := _laid_out(files, memory_limit)) is None:
        raise DataError(
            f"'{source}' holds no pictures: give a folder or archive of files such as .png or .jpg."
        )
    return found


def _in_tables(files: FolderFiles, names: Sequence[str], memory_limit: int) -> Found:
    """Return what tables hold, or, where they are an index of pictures beside them, those."""
    try:
        return tables.read_tables(files.root, names, memory_limit)
    except tables.NoPicturesError:
        if (found := _laid_out(files, memory_limit)) is None:
            raise
        return found


def _laid_out(files: Files, memory_limit: int) -> Found | None:
    """Return what the first layout finds that finds anything."""
    views = _views(files, memory_limit)
    return next((found for view in views for layout in LAYOUTS if (found := layout(view)) is not None), None)


def _views(files: Files, memory_limit: int) -> Iterator[Files]:
    """Yield the files as they lie, then those of a folder with its archives opened.

    Raises DataError where pictures lie beside shards, such as the preview of a set: which are meant?
    """
    if not isinstance(files, FolderFiles):
        yield files
        return
    shard, loose = first_shard(files), picture_names(files)
    if shard and loose:
        raise DataError(
            f"pictures lie in shards, '{shard}' first, and {len(loose)} beside them, '{loose[0]}' first: "
            "give the folder of one kind, or move the other away."
        )
    yield files
    yield NestedFiles(files, memory_limit)


def names(source: Source) -> tuple[str, str]:
    """Return a short name for titles, such as "emoji" of "sets/emoji.tar.xz", and the source as text."""
    if isinstance(source, np.ndarray):
        return "array", IN_MEMORY
    if (hub := HubName.parse(source)) is not None:
        return hub.title, str(source)
    name = str(source) if source in BUILT_IN else Path(source).expanduser().resolve().name
    ending = max((ending for ending in _ENDINGS if name.lower().endswith(ending)), key=len, default="")
    return name[: len(name) - len(ending)], str(source)


def _missing(source: str) -> str:
    if source == IN_MEMORY:
        return f"this data was {source}, which cannot be read again: save it as an .npy and load that."
    near = get_close_matches(source, BUILT_IN, n=1)
    hint = f" Did you mean '{near[0]}'?" if near else ""
    choices = ", ".join(BUILT_IN)
    return f"'{source}' is neither a file or folder nor a built-in data set.{hint} Built in: {choices}."

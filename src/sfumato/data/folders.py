"""Folders of pictures.

Labels, captions and attributes come from a table (`metadata`) where one holds any. Else captions and
classes lie beside each picture (`sidecars`); and where no classes do, the first folder of each picture is
its class, if there are two such folders at least. Splits are folders too (`splits`).
"""

import posixpath
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from sfumato.data.dataset import Skipped
from sfumato.data.files import Files, base_name
from sfumato.data.found import Found
from sfumato.data.listing import Listing, common_folder, list_pictures, picture_names
from sfumato.data.metadata import FILE_NAMES, read_metadata
from sfumato.data.pictures import Form, fit, open_picture
from sfumato.data.rows import Row, complete
from sfumato.data.sidecars import WHERE, read_sidecars
from sfumato.data.splits import is_split
from sfumato.errors import DataError


@dataclass(frozen=True, eq=False)
class FilePictures:
    """Pictures of a set of files."""

    files: Files
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.names)

    def name(self, index: int) -> str:
        """Return the file's name."""
        return self.names[index]

    def size(self, index: int) -> tuple[int, int]:
        """Return (width, height) from the file's header."""
        return self._open(index).size

    def fit(self, index: int, form: Form) -> np.ndarray:
        """Return the picture decoded and brought to `form`."""
        return fit(self._open(index), form)

    def _open(self, index: int) -> Image.Image:
        return open_picture(self.files.read(self.names[index]))


def find_folder(files: Files) -> Found | None:
    """Return the pictures among `files` with labels, captions or attributes; None where there is no picture.

    Raises DataError for a broken table, pictures that lie beside class folders, and captions that
    most pictures lack.
    """
    names = picture_names(files)
    if not names:
        return None
    tables = [name for name in files.names if base_name(name) in FILE_NAMES]
    start = len(common_folder(names + tables))
    listing = list_pictures(names, start)
    tables = [table for table in tables if _is_top(table[start:], listing.held_out is not None)]
    return _by_tables(files, listing, tables) if tables else _by_place(files, listing)


def _is_top(name: str, has_splits: bool) -> bool:
    """Return whether a table lies at the top, or at the top of a split; deeper ones are not ours."""
    folder = posixpath.dirname(name)
    return not folder or (has_splits and is_split(folder))


def _by_tables(files: Files, listing: Listing, tables: list[str]) -> Found:
    """Give pictures what is said in their row of a table."""
    table, found = base_name(tables[0]), read_metadata(files, tables)
    rows = found.rows
    if rows.keys().isdisjoint(listing.names):
        raise DataError(f"{table} describes no picture that is there: write names as they lie beside it.")
    if all(row == Row() for row in rows.values()):
        silent = tuple(Skipped(name, "no column 'label' or 'text', nor one of flags") for name in tables)
        return _by_place(files, replace(listing, skipped=listing.skipped + silent))
    present = set(picture_names(files))  # those of a split that is left out are there all the same
    missing = tuple(Skipped(name, f"named in {table}, not found") for name in rows if name not in present)
    told = [rows.get(name) for name in listing.names]
    listing = replace(listing, skipped=listing.skipped + found.skipped + missing)
    return found_pictures(files, listing, told, f"in {table}", found.attributes)


def _by_place(files: Files, listing: Listing) -> Found:
    """Give pictures what lies beside them, and their first folder as class where no class does."""
    rows = read_sidecars(files, listing.names)
    if all(row.label is None for row in rows):
        rows = [replace(row, label=label) for row, label in zip(rows, _classes(listing), strict=True)]
    return found_pictures(files, listing, rows, WHERE)


def _classes(listing: Listing) -> Sequence[str | None]:
    start = len(common_folder(listing.inner))
    loose = [name for name in listing.inner if "/" not in name[start:]]
    if loose and len(loose) < len(listing.inner):
        raise DataError(
            f"{len(loose)} pictures lie beside folders of pictures, '{loose[0]}' first: move them into a "
            "folder of their class, or all pictures into one folder."
        )
    return [None if loose else name[start:].split("/")[0] for name in listing.inner]


def found_pictures(
    files: Files,
    listing: Listing,
    rows: Sequence[Row | None],
    where: str,
    attribute_names: tuple[str, ...] = (),
) -> Found:
    """Return the pictures of a listing that are fully described by their `rows`, see `complete`.

    attribute_names: of the rows' attributes. Raises DataError where none is.
    """
    told = complete(listing.names, rows, where)
    if not told.keep.any():
        first = told.skipped[0]
        raise DataError(f"no picture is fully described; '{first.name}': {first.reason}.")
    listing = listing.only(told.keep, told.skipped)
    return Found(
        FilePictures(files, listing.names),
        told.labels,
        told.captions,
        listing.held_out,
        skipped=listing.skipped,
        attributes=told.attributes,
        attribute_names=attribute_names,
    )

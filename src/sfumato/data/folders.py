"""Folders of pictures.

Folders that wrap everything are stepped into. Then `train` beside `test` (or `val`, `valid`, `validation`)
are the splits. Below, labels and captions come from `metadata.csv` where there is one; else the first folder
of each picture is its class, if there are two such folders at least.
"""

import posixpath
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from sfumato.data.dataset import Skipped
from sfumato.data.files import Files, base_name
from sfumato.data.found import Found
from sfumato.data.metadata import FILE_NAME, Row, read_metadata
from sfumato.data.pictures import Form, fit, open_picture, picture_endings
from sfumato.errors import DataError

TEST_FOLDERS = ("test", "val", "valid", "validation")  # the first one found is held out


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


@dataclass(frozen=True)
class _Listing:
    """Chosen pictures, by name from the root, and what was left out; `inner` is each name below its split."""

    names: tuple[str, ...]
    inner: tuple[str, ...]
    held_out: np.ndarray | None
    skipped: tuple[Skipped, ...] = ()


def find_folder(files: Files) -> Found | None:
    """Return the pictures among `files` with labels or captions; None where there is no picture.

    Raises DataError for a broken `metadata.csv`, or pictures that lie beside class folders.
    """
    endings = picture_endings()
    names = [name for name in files.names if posixpath.splitext(name)[1].lower() in endings]
    if not names:
        return None
    tables = [name for name in files.names if base_name(name) == FILE_NAME]
    start = len(_common(names + tables))
    listing = _split(names, start)
    tables = [table for table in tables if _is_top(table[start:], listing.held_out is not None)]
    rows = {place: row for table in tables for place, row in read_metadata(files, table).items()}
    return _with_rows(files, listing, rows) if tables else _with_classes(files, listing)


def _is_top(name: str, has_splits: bool) -> bool:
    """Return whether a table lies at the top, or at the top of a split; deeper ones are not ours."""
    folder = posixpath.dirname(name).lower()
    return not folder or (has_splits and folder in ("train", *TEST_FOLDERS))


def _common(names: Sequence[str]) -> str:
    """Return the folders, with their last slash, that all `names` share."""
    folders = posixpath.commonpath([posixpath.dirname(name) for name in names])
    return folders + "/" if folders else ""


def _split(names: list[str], start: int) -> _Listing:
    """Assign pictures to splits by their first folder after `start` characters."""
    firsts = [name[start:].split("/")[0].lower() if "/" in name[start:] else "" for name in names]
    test = next((folder for folder in TEST_FOLDERS if folder in firsts), None)
    if test is None or "train" not in firsts:
        return _Listing(tuple(names), tuple(name[start:] for name in names), None)
    chosen = [
        (name, first == test) for name, first in zip(names, firsts, strict=True) if first in ("train", test)
    ]
    inner = tuple(name[start:].split("/", 1)[1] for name, _ in chosen)
    why = f"not used: train and {test} are the splits"
    others = sorted(set(firsts) - {"train", test})
    skipped = tuple(Skipped(f"{folder or 'pictures'} beside {test}", why) for folder in others)
    return _Listing(tuple(name for name, _ in chosen), inner, np.array([held for _, held in chosen]), skipped)


def _with_classes(files: Files, listing: _Listing) -> Found:
    """Label pictures by their first folder."""
    start = len(_common(listing.inner))
    loose = [name for name in listing.inner if "/" not in name[start:]]
    if loose and len(loose) < len(listing.inner):
        raise DataError(
            f"{len(loose)} pictures lie beside folders of pictures, '{loose[0]}' first: move them into a "
            "folder of their class, or all pictures into one folder."
        )
    labels = None if loose else np.array([name[start:].split("/")[0] for name in listing.inner])
    return Found(FilePictures(files, listing.names), labels, None, listing.held_out, skipped=listing.skipped)


def _with_rows(files: Files, listing: _Listing, rows: dict[str, Row]) -> Found:
    """Give pictures the label and caption of their row in a table; skip those that have none."""
    present = set(listing.names)
    labelled = any(row.label is not None for row in rows.values())
    missing = [Skipped(name, f"named in {FILE_NAME}, not found") for name in rows if name not in present]
    reasons = {name: why for name in listing.names if (why := _why_not(rows.get(name), labelled))}
    unused = [Skipped(name, why) for name, why in reasons.items()]
    listing = _without(listing, reasons, (*missing, *unused))
    if not listing.names:
        raise DataError(f"{FILE_NAME} describes no picture that is there: write names as they lie beside it.")
    labels = np.array([rows[name].label for name in listing.names]) if labelled else None
    captioned = any(row.text is not None for row in rows.values())
    captions = tuple(rows[name].text or "" for name in listing.names) if captioned else None
    return Found(
        FilePictures(files, listing.names), labels, captions, listing.held_out, skipped=listing.skipped
    )


def _why_not(row: Row | None, labelled: bool) -> str:
    if row is None:
        return f"not named in {FILE_NAME}"
    return f"no label in {FILE_NAME}" if labelled and not row.label else ""


def _without(listing: _Listing, names: dict[str, str], skipped: tuple[Skipped, ...]) -> _Listing:
    keep = np.array([name not in names for name in listing.names])
    return replace(
        listing,
        names=tuple(name for name in listing.names if name not in names),
        held_out=None if listing.held_out is None else listing.held_out[keep],
        skipped=listing.skipped + skipped,
    )

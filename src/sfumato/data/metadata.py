"""metadata.csv: what is known of pictures, one row a picture, in columns `file_name`, `label`, `text`.

The convention is that of folders of images on the Hugging Face hub. Further columns are attributes where each
of their cells is 0 or 1, −1 or 1, or false or true; other columns are not read.
https://huggingface.co/docs/datasets/image_load#imagefolder
"""

import csv
import posixpath
from collections.abc import Sequence
from io import StringIO

from sfumato.data.files import Files
from sfumato.data.rows import Row
from sfumato.errors import DataError

FILE_NAME = "metadata.csv"
_OURS = ("file_name", "label", "text")
_FLAGS = ({"0", "1"}, {"-1", "1"}, {"false", "true"})

Cells = dict[str, str]


def read_metadata(files: Files, names: Sequence[str]) -> tuple[dict[str, Row], tuple[str, ...]]:
    """Return {picture's name from the root: its row} of the tables `names`, and the attributes they all have.

    A table's file names start at its folder. Raises DataError where one is not a table in UTF-8 with a column
    `file_name`.
    """
    tables = {name: _read(files, name) for name in names}
    lines = [cells for table in tables.values() for cells in table]
    attributes = _attributes(lines)
    rows = {
        _place(name, cells["file_name"]): _row(cells, attributes)
        for name, table in tables.items()
        for cells in table
    }
    return rows, attributes


def _read(files: Files, name: str) -> list[Cells]:
    try:
        table = csv.DictReader(StringIO(files.read(name).decode("utf-8-sig"), newline=""))
        columns = list(table.fieldnames or [])
        # A short row lacks its last columns; that is an empty value, not a missing column.
        lines = [{column: (row[column] or "").strip() for column in columns} for row in table]
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"'{name}' is not a table of comma-separated values in UTF-8 ({error}).") from error
    if "file_name" not in columns:
        found = ", ".join(columns) or "none"
        raise DataError(f"'{name}' needs a column 'file_name', and 'label' or 'text'; its columns: {found}.")
    return lines


def _attributes(lines: list[Cells]) -> tuple[str, ...]:
    """Return the columns of nothing but flags."""
    columns = [column for column in (lines[0] if lines else ()) if column not in _OURS]
    cells = {column: {line.get(column, "").lower() for line in lines} for column in columns}
    return tuple(column for column in columns if any(cells[column] <= flags for flags in _FLAGS))


def _place(table: str, file_name: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(table), file_name))


def _row(cells: Cells, attributes: tuple[str, ...]) -> Row:
    flags = tuple(cells[column].lower() in ("1", "true") for column in attributes)
    return Row(cells.get("label"), cells.get("text"), flags or None)

"""metadata.csv or metadata.jsonl: what is known of pictures, one row a picture.

The columns are `file_name`, `label` and `text` (or `caption`), in any case of letters. Further columns are
attributes where each of their cells is 0 or 1, −1 or 1, or false or true; other columns are not read. Of
several rows of a picture the first counts.

The convention is that of folders of images on the Hugging Face hub.
https://huggingface.co/docs/datasets/image_load#imagefolder
"""

import csv
import json
import posixpath
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from io import StringIO
from typing import Any

from sfumato.data.dataset import Skipped
from sfumato.data.files import Files
from sfumato.data.rows import Row
from sfumato.errors import DataError

FILE_NAMES = ("metadata.csv", "metadata.jsonl")
_OURS = {"file_name": "file_name", "label": "label", "text": "text", "caption": "text", "captions": "text"}
_FLAGS = ({"0", "1"}, {"-1", "1"}, {"false", "true"})

Cells = dict[str, str]


@dataclass(frozen=True)
class Metadata:
    """What tables say.

    rows: by the picture's name from the root; attributes: the columns of flags; skipped: what is not read.
    """

    rows: dict[str, Row]
    attributes: tuple[str, ...]
    skipped: tuple[Skipped, ...]


def read_metadata(files: Files, names: Sequence[str]) -> Metadata:
    """Read the tables `names`, whose file names start at their folders.

    Raises DataError where one is not a table in UTF-8 with a column `file_name`.
    """
    tables = {name: _read(files, name) for name in names}
    attributes = _attributes([cells for table in tables.values() for cells in table])
    rows: dict[str, Row] = {}
    skipped = []
    for name, table in tables.items():
        before = len(rows)
        for cells in table:
            rows.setdefault(_place(name, cells["file_name"]), _row(cells, attributes))
        if further := before + len(table) - len(rows):
            skipped.append(Skipped(name, f"{further:,} rows of pictures that an earlier row describes"))
    return Metadata(rows, attributes, tuple(skipped))


def _read(files: Files, name: str) -> list[Cells]:
    parse, what = (
        (_json_lines, "one JSON object a line")
        if name.endswith(".jsonl")
        else (_comma_separated, "comma-separated values")
    )
    try:
        columns, lines = parse(files.read(name).decode("utf-8-sig"))
    except (ValueError, csv.Error) as error:
        raise DataError(f"'{name}' is not a table of {what} in UTF-8 ({error}).") from error
    if "file_name" not in map(_column, columns):
        found = ", ".join(columns) or "none"
        raise DataError(f"'{name}' needs a column 'file_name', and 'label' or 'text'; its columns: {found}.")
    return [_renamed(line) for line in lines]


def _comma_separated(text: str) -> tuple[list[str], list[Cells]]:
    """Return the columns' names and the rows."""
    table = csv.DictReader(StringIO(text, newline=""))
    columns = list(table.fieldnames or [])
    # A short row lacks its last columns; that is an empty value, not a missing column.
    return columns, [{column: (row[column] or "").strip() for column in columns} for row in table]


def _json_lines(text: str) -> tuple[list[str], list[Cells]]:
    """Return the names of all columns, in the order they appear in, and the rows."""
    objects = [json.loads(line) for line in text.split("\n") if line.strip()]
    if not all(isinstance(each, dict) for each in objects):
        raise ValueError("a line holds no object")
    columns = list(dict.fromkeys(column for each in objects for column in each))
    return columns, [{column: _cell(each.get(column)) for column in columns} for each in objects]


def _cell(value: Any) -> str:
    """Return a JSON value as a table would hold it; of a list, such as of captions, the first."""
    if isinstance(value, list):
        return _cell(value[0] if value else None)
    return "" if value is None else str(value).strip()


def _renamed(line: Cells) -> Cells:
    """Return the cells by what their columns are called here; of two that mean the same, the first."""
    cells: Cells = {}
    for column, cell in line.items():
        cells.setdefault(_column(column), cell)
    return cells


def _column(name: str) -> str:
    """Return what a column is called here."""
    return _OURS.get(name.strip().lower(), name.strip())


def _attributes(lines: list[Cells]) -> tuple[str, ...]:
    """Return the columns of nothing but flags."""
    columns = [column for column in (lines[0] if lines else ()) if column not in _OURS]
    cells = {column: {line.get(column, "").lower() for line in lines} for column in columns}
    return tuple(column for column in columns if any(cells[column] <= flags for flags in _FLAGS))


def _place(table: str, file_name: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(table), file_name))


def _row(cells: Cells, attributes: Iterable[str]) -> Row:
    flags = tuple(cells[column].lower() in ("1", "true") for column in attributes)
    return Row(cells.get("label"), cells.get("text"), flags or None)

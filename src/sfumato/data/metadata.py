"""metadata.csv: labels and captions of pictures, one row a picture, in columns `file_name`, `label`, `text`.

The convention is that of folders of images on the Hugging Face hub.
https://huggingface.co/docs/datasets/image_load#imagefolder
"""

import csv
import posixpath
from dataclasses import dataclass
from io import StringIO

from sfumato.data.files import Files
from sfumato.errors import DataError

FILE_NAME = "metadata.csv"


@dataclass(frozen=True)
class Row:
    """What is known of one picture; None where the table has no such column."""

    label: str | None
    text: str | None


def read_metadata(files: Files, name: str) -> dict[str, Row]:
    """Return {picture's name from the root: its row} of the table `name`, whose names start at its folder.

    Raises DataError where it is not a table in UTF-8 with a column `file_name`.
    """
    try:
        table = csv.DictReader(StringIO(files.read(name).decode("utf-8-sig"), newline=""))
        columns = table.fieldnames or []
        rows = list(table)
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"'{name}' is not a table of comma-separated values in UTF-8 ({error}).") from error
    if "file_name" not in columns:
        found = ", ".join(columns) or "none"
        raise DataError(f"'{name}' needs a column 'file_name', and 'label' or 'text'; its columns: {found}.")
    return {_place(name, row["file_name"] or ""): _row(row) for row in rows}


def _place(table: str, file_name: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(table), file_name))


def _row(row: dict[str, str | None]) -> Row:
    # A short row lacks its last columns; that is an empty value, not a missing column.
    label, text = ((row[column] or "").strip() if column in row else None for column in ("label", "text"))
    return Row(label, text)

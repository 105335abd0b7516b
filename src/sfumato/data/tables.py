"""Data sets in the Hugging Face hub's own formats: .parquet shards, the .arrow of `datasets.save_to_disk`.

    data/train-00000-of-00002.parquet   data/test-00000-of-00001.parquet      as the hub lays it out
    train/data-00000-of-00001.arrow     test/data-00000-of-00001.arrow        as it is saved to disk

Plain pyarrow reads both: no code of the data set's is run, and nothing is unpickled.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from sfumato.data.columns import read_columns, read_rows
from sfumato.data.files import base_name
from sfumato.data.folders import found_pictures
from sfumato.data.found import Found
from sfumato.data.listing import Listing
from sfumato.data.rows import Row
from sfumato.data.splits import is_split, sort_out, split_of
from sfumato.data.table_files import KINDS, TableFiles, opened
from sfumato.errors import DataError

ENDINGS = tuple(KINDS)
_LEFTOVERS = ("cache-", "tmp")  # what the hub's library leaves beside what it saved


class NoPicturesError(DataError):
    """Tables without a column of pictures, such as an index of those that lie beside it."""


def table_names(names: Sequence[str]) -> tuple[str, ...]:
    """Return those of `names` that are tables of examples."""
    tables = (name for name in names if name.lower().endswith(ENDINGS))
    return tuple(name for name in tables if not base_name(name).startswith(_LEFTOVERS))


def read_tables(root: Path, names: Sequence[str], memory_limit: int) -> Found:
    """Return the pictures of the tables `names` below `root`, one or more, with what their columns say.

    memory_limit: bytes that the pictures of .parquet files may take, encoded.
    Raises DataError for a broken table, tables of several data sets, and where pyarrow is not installed, and
    NoPicturesError for tables without pictures.
    """
    _check_one_set(root, names)
    used, held_out, skipped = sort_out([_split_of(name) for name in names])
    tables = [opened(root / names[place]) for place in used]
    columns = read_columns(tables[0].schema)
    if columns.picture is None:
        raise NoPicturesError(
            f"'{names[used[0]]}' has no column of pictures, a struct of bytes and path: its columns are "
            f"{', '.join(tables[0].schema.names)}."
        )
    if sum(table.held_bytes for table in tables) > memory_limit:
        raise DataError(
            f"'{root}' holds more than {memory_limit} bytes as .parquet: save it with datasets.save_to_disk, "
            "whose files are read in place."
        )
    pictures: list[Any] = []
    rows: list[Row] = []
    for table in tables:
        content = table.read([columns.picture, *columns.told])
        pictures += content[columns.picture].chunks
        rows += read_rows(content, columns)
    counts = [table.count for table in tables]
    sizes = zip(used, counts, strict=True)
    each = tuple(f"{names[place]}, row {row}" for place, count in sizes for row in range(count))
    listing = Listing(each, each, None if held_out is None else held_out.repeat(counts), skipped)
    found = found_pictures(TableFiles(pictures, each), listing, rows, "in its row", columns.attributes)
    return replace(found, classes=columns.classes)


def _split_of(name: str) -> str:
    return next((split_of(part) for part in name.split("/") if is_split(part)), name)


def _check_one_set(root: Path, names: Sequence[str]) -> None:
    """Refuse the folders of several sets, or of several forms of one, which the hub calls configurations."""
    homes = {"/".join(part for part in name.split("/")[:-1] if not is_split(part)) for name in names}
    if len(homes) > 1:
        choices = ", ".join(f"'{home or root.name}'" for home in sorted(homes))
        raise DataError(f"'{root}' holds several data sets, in {choices}: give the folder of one.")

"""Tables on disk, and their pictures seen as files.

Arrow's stream format is mapped into memory and read in place. Parquet is compressed in blocks of many rows,
so its pictures are kept in memory as they are, still encoded.
https://arrow.apache.org/docs/format/Columnar.html https://parquet.apache.org/docs/file-format
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from sfumato.errors import DataError


class Table(Protocol):
    """An opened table: its pyarrow schema, number of rows, and the bytes that its content takes in memory."""

    schema: Any
    count: int
    held_bytes: int

    def read(self, columns: Sequence[str]) -> Any:
        """Return a pyarrow table of the `columns`; raises DataError where one is missing."""
        ...


class Parquet:
    """A .parquet file."""

    def __init__(self, path: Path) -> None:
        from pyarrow.parquet import ParquetFile

        self._path = path
        self._file = ParquetFile(path, memory_map=True)
        about = self._file.metadata
        self.schema = self._file.schema_arrow
        self.count = about.num_rows
        self.held_bytes = sum(about.row_group(place).total_byte_size for place in range(about.num_row_groups))

    def read(self, columns: Sequence[str]) -> Any:
        """Decompress and return the `columns`."""
        _check_columns(self._path, self.schema, columns)
        return self._file.read(columns=list(columns))


class Arrow:
    """An .arrow file of the stream format, which the hub's library writes."""

    held_bytes = 0

    def __init__(self, path: Path) -> None:
        import pyarrow

        self._path = path
        self._table = pyarrow.ipc.open_stream(pyarrow.memory_map(str(path))).read_all()
        self.schema = self._table.schema
        self.count = len(self._table)

    def read(self, columns: Sequence[str]) -> Any:
        """Return the `columns`, still on the disk."""
        _check_columns(self._path, self.schema, columns)
        return self._table.select(list(columns))


KINDS: dict[str, type[Parquet] | type[Arrow]] = {".parquet": Parquet, ".arrow": Arrow}


def opened(path: Path) -> Table:
    """Open a table by its ending; raises DataError where it is broken, or pyarrow is not installed."""
    try:
        import pyarrow
    except ModuleNotFoundError:
        raise DataError(f"'{path}' needs pyarrow: pip install 'sfumato[hub]'.") from None
    try:
        return KINDS[path.suffix.lower()](path)
    except (pyarrow.ArrowException, OSError) as error:
        why = " ".join(str(error).split())
        raise DataError(f"'{path}' cannot be read as a table ({why}): fetch it again.") from error


def _check_columns(path: Path, schema: Any, columns: Sequence[str]) -> None:
    missing = [name for name in columns if name not in schema.names]
    if missing:
        raise DataError(f"'{path}' lacks the column '{missing[0]}' that the first table has: fetch it again.")


class TableFiles:
    """The pictures of a column as files.

    chunks: pyarrow arrays of bytes, or of structs with a field `bytes`, all of one type; names: one for each
    of their values. Raises DataError where the types differ.
    """

    def __init__(self, chunks: list[Any], names: Sequence[str]) -> None:
        import pyarrow

        try:
            self._column = pyarrow.chunked_array(chunks)
        except (pyarrow.ArrowException, TypeError) as error:
            raise DataError(f"the tables' pictures are of different types ({error}).") from error
        self._rows = {name: row for row, name in enumerate(names)}
        self.names = tuple(names)

    def read(self, name: str) -> bytes:
        """Return one encoded picture; raises DataError where its row has none."""
        value = self._column[self._rows[name]].as_py()
        content: bytes | None = value["bytes"] if isinstance(value, dict) else value
        if content is None:
            raise DataError("its row holds no bytes")
        return content

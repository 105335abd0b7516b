"""Files that are there whole or not at all.

A file is written beside its place, flushed to the disk, and then moved over what was there, which the system
does at once or not at all. A reader never sees half a file, and a write that fails leaves the old one.
"""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PART = ".part"
"""The ending of files being written; what a kill leaves of them is swept away by `sweep`."""


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a path to write to; at the end of the block it takes the place of `path`.

    If the block raises, nothing is left and `path` is as it was. Raises OSError as writing does.
    """
    # Not `tempfile`: its files are readable by their owner alone, and stay so when they are moved.
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}{PART}")
    try:
        temporary.touch(exist_ok=False)
        rights = temporary.stat().st_mode
        yield temporary
        temporary.chmod(rights)  # some writers replace the file by one that only its owner can read
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        _remove(temporary)


def write_whole(path: Path, data: bytes) -> None:
    """Write `data` to `path`, all of it or nothing."""
    with whole_file(path) as temporary:
        temporary.write_bytes(data)


def sweep(folder: Path) -> None:
    """Remove what killed writers left in `folder`."""
    for path in folder.glob(f".*{PART}"):
        _remove(path)


def _remove(path: Path) -> None:
    # A missing parent, or a file that stands where a folder should, already stopped the write.
    try:
        path.unlink()
    except (FileNotFoundError, NotADirectoryError):
        return

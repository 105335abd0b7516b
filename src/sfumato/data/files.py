"""Named contents, wherever they lie: a folder here, zip and tar in `archives`.

Readers of layouts see a sorted list of names and a way to read one, and cannot tell a folder from an archive.
Nothing is ever written to disk, so a hostile name in an archive is only an odd name, and is left out.
"""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from sfumato.errors import DataError


class Files(Protocol):
    """A set of files."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names relative to the root, parts joined by "/", sorted; hidden files are left out."""
        ...

    def read(self, name: str) -> bytes:
        """Return the content of one file; callable from many threads. Raises DataError where that fails."""
        ...


def tidy(names: Iterable[str]) -> dict[str, str]:
    """Return {name without "./" and doubled slashes: name as given}, sorted, of those that are to be seen.

    Hidden files, macOS's shadow files, and names that are absolute or climb out of the root are left out.
    """
    kept = {}
    for name in names:
        parts = [part for part in name.split("/") if part not in ("", ".")]
        odd = any(part.startswith(".") or part == "__MACOSX" for part in parts)
        if parts and not odd and not name.startswith("/"):
            kept["/".join(parts)] = name
    return dict(sorted(kept.items()))


def base_name(name: str) -> str:
    """Return the last part of a name, such as "b.png" of "a/b.png"."""
    return name.rsplit("/", 1)[-1]


class FolderFiles:
    """The files of a folder and of the folders in it; links are followed, each folder once."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.names = tuple(tidy(self._walk()))

    def _walk(self) -> Iterable[str]:
        seen = set()
        for here, folders, files in os.walk(self.root, followlinks=True):
            if (real := os.path.realpath(here)) in seen:
                folders.clear()
                continue
            seen.add(real)
            folders.sort()  # which of two links to one folder is followed must not depend on the disk
            relative = Path(here).relative_to(self.root)
            yield from ((relative / name).as_posix() for name in files)

    def read(self, name: str) -> bytes:
        """Return the content of one file."""
        path = self.root / name
        if not path.is_file():  # reading from a pipe would wait forever
            raise DataError("no such file")
        try:
            return path.read_bytes()
        except OSError as error:
            raise DataError(error.strerror or str(error)) from error

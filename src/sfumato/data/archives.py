"""Zip and tar archives as sets of files, read in place.

A zip and a plain tar are read at random. A compressed tar can only be read from front to back, so its members
are kept in memory as they are, still encoded as PNG, JPEG and so on. Links and devices are left out.
"""

import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from lzma import LZMAError
from pathlib import Path

from sfumato.data.files import Files, FolderFiles, tidy
from sfumato.errors import DataError

_MOST_BYTES = 2**30  # of one member: a zip of a few kilobytes can claim any size
_COMPRESSED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0")  # gz, bz2, xz
_BROKEN = (OSError, EOFError, tarfile.TarError, zipfile.BadZipFile, LZMAError, zlib.error)


def open_files(path: Path, memory_limit: int) -> Files:
    """Open a folder, zip or tar (plain, gz, bz2 or xz) by its content, whatever its ending.

    memory_limit: bytes that the members of a compressed tar may take.
    Raises DataError for a file that is none of these, or is broken.
    """
    if path.is_dir():
        return FolderFiles(path)
    with _whole(path):
        if zipfile.is_zipfile(path):
            return ZipFiles(path)
        if not tarfile.is_tarfile(path):
            raise DataError(
                f"'{path}' is not data that sfumato reads: give a folder of pictures, a .zip or .tar of one "
                f"(also .tar.gz, .tar.xz, .tar.bz2), an .npy or an .npz."
            )
        return HeldFiles(path, memory_limit) if _is_compressed(path) else TarFiles(path)


@contextmanager
def _whole(path: Path) -> Iterator[None]:
    try:
        yield
    except _BROKEN as error:
        raise DataError(f"'{path}' cannot be read to its end ({error}): fetch it again.") from error


class ZipFiles:
    """The members of a zip."""

    def __init__(self, path: Path) -> None:
        self._zip = zipfile.ZipFile(path)
        plain = [info for info in self._zip.infolist() if not self._is_special(info)]
        # Some Windows programs write backslashes, against the format's rules.
        by_name = {info.filename.replace("\\", "/"): info for info in plain}
        self._members = {name: by_name[given] for name, given in tidy(by_name).items()}
        self.names = tuple(self._members)

    @staticmethod
    def _is_special(info: zipfile.ZipInfo) -> bool:
        return info.is_dir() or stat.S_ISLNK(info.external_attr >> 16)

    def read(self, name: str) -> bytes:
        """Return the content of one member."""
        info = self._members[name]
        if info.file_size > _MOST_BYTES:
            raise DataError(f"{info.file_size} bytes are too many")
        try:
            return self._zip.read(info)
        except (*_BROKEN, RuntimeError, NotImplementedError) as error:  # encrypted; unknown compression
            raise DataError(str(error)) from error


class TarFiles:
    """The members of a tar that is not compressed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with tarfile.open(path, "r:") as tar:
            places = {info.name: (info.offset_data, info.size) for info in tar if _is_plain(info)}
            _check_end(tar)
        self._places = {name: places[given] for name, given in tidy(places).items()}
        self.names = tuple(self._places)

    def read(self, name: str) -> bytes:
        """Return the content of one member."""
        offset, size = self._places[name]
        try:
            with self._path.open("rb") as file:  # a handle of its own, since a shared one has one position
                file.seek(offset)
                content = file.read(size)
        except OSError as error:
            raise DataError(error.strerror or str(error)) from error
        if len(content) < size:
            raise DataError("the archive ends within it")
        return content


class HeldFiles:
    """The members of a compressed tar, read once and held in memory as they are."""

    def __init__(self, path: Path, memory_limit: int) -> None:
        held: dict[str, bytes] = {}
        left = memory_limit
        with tarfile.open(path, "r:*") as tar:
            for info in tar:
                if not (_is_plain(info) and tidy([info.name])):
                    continue
                left -= info.size
                if left < 0:
                    raise DataError(
                        f"'{path}' holds more than {memory_limit} bytes: unpack it, give the folder."
                    )
                file = tar.extractfile(info)
                held[info.name] = file.read() if file else b""
            _check_end(tar)
        self._held = {name: held[given] for name, given in tidy(held).items()}
        self.names = tuple(self._held)

    def read(self, name: str) -> bytes:
        """Return the content of one member."""
        return self._held[name]


def _is_compressed(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(6).startswith(_COMPRESSED)


def _check_end(tar: tarfile.TarFile) -> None:
    """Raise ReadError unless nothing but zeros follows the last member that was found.

    Python's tarfile takes a damaged header for the end, and so drops whatever lies behind it without a word.
    """
    file = tar.fileobj
    assert file is not None  # of a tar that is open
    file.seek(tar.offset)
    while chunk := file.read(2**20):
        if chunk.strip(b"\0"):
            raise tarfile.ReadError("it is damaged in the middle, or two archives in one")


def _is_plain(info: tarfile.TarInfo) -> bool:
    return info.isreg() and not info.issparse()

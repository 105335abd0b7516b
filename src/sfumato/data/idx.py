"""MNIST's own files, and those of its likes: http://yann.lecun.com/exdb/mnist

0, 0, 8 (unsigned bytes), number of axes; then each axis' length, 4 bytes, highest first; then the values
"""

import math
import re
import zlib

import numpy as np

from sfumato.data.arrays import found_in_arrays
from sfumato.data.files import Files, base_name
from sfumato.data.found import Found
from sfumato.errors import DataError

_NAME = re.compile(r"(train|t10k)-(images|labels)[-.]idx[13]-ubyte(\.gz)?")
_MOST_BYTES = 2**31  # of one unpacked file, far above any set of this layout


def find_idx(files: Files) -> Found | None:
    """Return the digits among `files`, plain or gzipped; None where there are no such files.

    Raises DataError where the training images are missing or a file is broken.
    """
    names = {match.group(1, 2): name for name in files.names if (match := _NAME.fullmatch(base_name(name)))}
    if not names:
        return None
    if ("train", "images") not in names:
        raise DataError("The file 'train-images-idx3-ubyte' is missing beside the others of its layout.")
    roles = [("train", "labels"), ("t10k", "images"), ("t10k", "labels")]
    others = [_read(files, names[role]) if role in names else None for role in roles]
    return found_in_arrays(_read(files, names["train", "images"]), *others)


def _read(files: Files, name: str) -> np.ndarray:
    content = files.read(name)
    if name.endswith(".gz"):
        content = _unzip(content, name)
    return parse_idx(content, name)


def _unzip(content: bytes, name: str) -> bytes:
    # Not gzip.decompress: that would follow a small file to any size.
    unpacker = zlib.decompressobj(wbits=31)
    try:
        plain = unpacker.decompress(content, _MOST_BYTES)
    except zlib.error as error:
        raise DataError(f"'{name}' cannot be unpacked ({error}): fetch it again.") from error
    if not unpacker.eof:
        raise DataError(f"'{name}' is cut short or too large: fetch it again.")
    return plain


def parse_idx(content: bytes, name: str) -> np.ndarray:
    """Return the uint8 array of an idx file's `content`; `name` is for the error where it is broken."""
    axes = content[3] if content[:3] == b"\x00\x00\x08" and len(content) > 3 else 0
    if axes not in (1, 3):
        raise DataError(f"'{name}' is not an idx file of images or labels: fetch it again.")
    start = 4 + 4 * axes
    shape = tuple(int.from_bytes(content[place : place + 4]) for place in range(4, start, 4))
    if len(content) != start + math.prod(shape):
        raise DataError(
            f"'{name}' has {len(content)} bytes where its header needs {start + math.prod(shape)}."
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)

"""CIFAR-10 and CIFAR-100 in their binary layout: https://www.cs.toronto.edu/~kriz/cifar.html

A record is one label byte (CIFAR-100: coarse, then fine) and 3·32·32 bytes, red, green and blue, row by row.
The other, "python" layout is pickles, which can run code when loaded; it is refused.
"""

import re
from dataclasses import dataclass

import numpy as np

from sfumato.data.arrays import found_in_arrays
from sfumato.data.files import Files, base_name
from sfumato.data.found import Found
from sfumato.errors import DataError

_PIXELS = 3 * 32 * 32
_PICKLES = re.compile(r"(.*/)?(cifar-10-batches-py/|cifar-100-python/).*|(.*/)?data_batch_[1-5]")


@dataclass(frozen=True)
class _Layout:
    """One of the two sets: its files' names, and how many label bytes a record has; the last counts."""

    train: re.Pattern[str]
    test: str
    classes: str
    label_bytes: int


_LAYOUTS = (
    _Layout(re.compile(r"data_batch_[1-5]\.bin"), "test_batch.bin", "batches.meta.txt", 1),
    _Layout(re.compile(r"train\.bin"), "test.bin", "fine_label_names.txt", 2),
)


def find_cifar(files: Files) -> Found | None:
    """Return the pictures of the binary layouts among `files`, or None.

    Raises DataError for a broken file, and for the layout of pickles.
    """
    by_base = {base_name(name): name for name in files.names}
    for layout in _LAYOUTS:
        train = sorted(base for base in by_base if layout.train.fullmatch(base))
        if train and layout.classes in by_base:
            return _read(files, by_base, train, layout)
    if any(_PICKLES.fullmatch(name) for name in files.names):
        raise DataError(
            "This is CIFAR's 'python version': pickles, which can run code when loaded and are never read "
            "here. Take the 'binary version', such as cifar-10-binary.tar.gz."
        )
    return None


def _read(files: Files, by_base: dict[str, str], train: list[str], layout: _Layout) -> Found:
    batches = [parse_records(files.read(by_base[base]), base, layout.label_bytes) for base in train]
    images, labels = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    test_images, test_labels = None, None
    if layout.test in by_base:
        content = files.read(by_base[layout.test])
        test_images, test_labels = parse_records(content, layout.test, layout.label_bytes)
    lines = files.read(by_base[layout.classes]).decode("utf-8", "replace").splitlines()
    classes = tuple(line.strip() for line in lines if line.strip())
    return found_in_arrays(images, labels, test_images, test_labels, classes=classes)


def parse_records(content: bytes, name: str, label_bytes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return images, uint8 (N, 3, 32, 32), and labels, uint8 (N,), of one file's `content`.

    Raises DataError, with `name`, where it is not a whole number of records.
    """
    length = label_bytes + _PIXELS
    if not content or len(content) % length:
        raise DataError(f"'{name}' has {len(content)} bytes, not a multiple of {length}: fetch it again.")
    records = np.frombuffer(content, np.uint8).reshape(-1, length)
    return records[:, label_bytes:].reshape(-1, 3, 32, 32), records[:, label_bytes - 1]

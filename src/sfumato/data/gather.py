"""Read every picture once: into memory where that holds them, else only to check it and take its digest.

So an unreadable file is known before training starts, however the pictures are kept, and content hashes do
not depend on the memory limit.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from sfumato.data.dataset import Skipped
from sfumato.data.found import Pictures
from sfumato.data.pictures import Form
from sfumato.data.store import WORKERS, MemoryStore, Store, StreamedStore, example_digest
from sfumato.errors import DataError

Progress = Callable[[int, int], None]

_BLOCK = 64  # pictures a task: small enough for a smooth bar, large enough to hide the pool's own cost


class _Shelf(Protocol):
    def put(self, index: int, picture: np.ndarray) -> None: ...

    def store(self, rows: Tensor) -> Store: ...


class _MemoryShelf:
    def __init__(self, pictures: Pictures, form: Form) -> None:
        self.content = np.empty((len(pictures), *form.shape), np.uint8)

    def put(self, index: int, picture: np.ndarray) -> None:
        self.content[index] = picture

    def store(self, rows: Tensor) -> Store:
        return MemoryStore(torch.from_numpy(self.content), rows)


class _DigestShelf:
    def __init__(self, pictures: Pictures, form: Form) -> None:
        self.pictures = pictures
        self.form = form
        self.digests = np.empty((len(pictures), 32), np.uint8)

    def put(self, index: int, picture: np.ndarray) -> None:
        self.digests[index] = np.frombuffer(example_digest(picture), np.uint8)

    def store(self, rows: Tensor) -> Store:
        return StreamedStore(self._read, self.form.shape, self.digests, rows)

    def _read(self, index: int) -> np.ndarray:
        try:
            return self.pictures.fit(index, self.form)
        except Exception as error:  # whatever a decoder raises, the user needs the file's name
            name = self.pictures.name(index)
            raise DataError(f"'{name}' was readable and no longer is: {reason(error)}.") from error


def gather(
    pictures: Pictures, form: Form, memory_limit: int, progress: Progress | None
) -> tuple[Store, Tensor, tuple[Skipped, ...]]:
    """Read all `pictures` in `form`.

    Returns the store of the readable ones, their places as int64 (M,), and the others with reasons. The store
    is in memory where all pictures take `memory_limit` bytes at most. `progress` is told (done, total).
    """
    fits = len(pictures) * form.nbytes <= memory_limit
    shelf: _Shelf = (_MemoryShelf if fits else _DigestShelf)(pictures, form)
    failures = _read_all(pictures, form, shelf, progress or (lambda done, total: None))
    readable = np.ones(len(pictures), bool)
    readable[list(failures)] = False
    rows = torch.from_numpy(np.flatnonzero(readable))
    skipped = tuple(Skipped(pictures.name(index), why) for index, why in sorted(failures.items()))
    return shelf.store(rows), rows, skipped


def _read_all(pictures: Pictures, form: Form, shelf: _Shelf, progress: Progress) -> dict[int, str]:
    """Put every readable picture on the shelf; return the reasons of the unreadable ones."""

    def read(block: range) -> dict[int, str]:
        failures = {}
        for index in block:
            try:
                shelf.put(index, pictures.fit(index, form))
            except Exception as error:  # broken files make decoders raise nearly anything
                failures[index] = reason(error)
        return failures

    total = len(pictures)
    blocks = [range(start, min(start + _BLOCK, total)) for start in range(0, total, _BLOCK)]
    failures: dict[int, str] = {}
    with ThreadPoolExecutor(WORKERS) as pool:
        for block, failed in zip(blocks, pool.map(read, blocks), strict=True):
            failures |= failed
            progress(block.stop, total)
    return failures


def reason(error: Exception) -> str:
    """Return an error as one short line."""
    text = " ".join(str(error).split())
    if "cannot identify image file" in text:  # Pillow goes on to print an object in memory
        return "not a picture that Pillow can read"
    return text or type(error).__name__

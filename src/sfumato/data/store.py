"""An indexable set of examples, held in memory or decoded anew on every take.

Both stores share their content when `select` narrows them to some rows, so splitting data copies nothing.
Both identify their content in the same way, the SHA-256 of the examples' own SHA-256 in order: a set that is
streamed has the digest that it would have in memory.
"""

import hashlib
import math
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

WORKERS = min(8, os.cpu_count() or 1)


class Store(Protocol):
    """A set of examples of one shape: (C, H, W) for pictures, (D,) for vectors."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one example."""
        ...

    @property
    def nbytes(self) -> int:
        """The bytes of all examples as `take` hands them out."""
        ...

    @property
    def in_memory(self) -> bool:
        """Whether the examples lie in memory rather than being decoded on every take."""
        ...

    def __len__(self) -> int: ...

    def take(self, indices: Tensor) -> Tensor:
        """Return the examples at `indices`, int64 (B,): uint8 (B, C, H, W) or float32 (B, D)."""
        ...

    def select(self, indices: Tensor) -> "Store":
        """Return a store of the examples at `indices`, int64 (M,), that shares its content with this one."""
        ...

    def digest(self) -> bytes:
        """Return 32 bytes that stand for the content and order of the examples."""
        ...


def example_digest(example: np.ndarray) -> bytes:
    """Return the SHA-256 of one example's bytes: 32 bytes."""
    return hashlib.sha256(np.ascontiguousarray(example).data).digest()


class MemoryStore:
    """Rows of a tensor.

    examples: (N, C, H, W) of uint8 or (N, D) of float32;
    rows: int64 (M,), the rows that belong, all by default.
    """

    in_memory = True

    def __init__(self, examples: Tensor, rows: Tensor | None = None) -> None:
        self.examples = examples
        self.rows = torch.arange(len(examples)) if rows is None else rows
        self.shape: tuple[int, ...] = tuple(examples.shape[1:])

    @property
    def nbytes(self) -> int:
        """The bytes of the examples that belong."""
        return len(self) * math.prod(self.shape) * self.examples.element_size()

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, indices: Tensor) -> Tensor:
        """Return the examples at `indices`: int64 (B,)."""
        return self.examples[self.rows[indices]]

    def select(self, indices: Tensor) -> "MemoryStore":
        """Return the store of the examples at `indices`: int64 (M,)."""
        return MemoryStore(self.examples, self.rows[indices])

    def digest(self) -> bytes:
        """Return the digest of the examples that belong, in order."""
        content = self.examples.numpy()
        whole = hashlib.sha256()
        for row in self.rows.tolist():
            whole.update(example_digest(content[row]))
        return whole.digest()


class StreamedStore:
    """Pictures decoded by a small pool of threads on every take, for sets that do not fit in memory.

    read: row -> uint8 (C, H, W), callable from many threads; shape: (C, H, W);
    digests: (N, 32) of uint8, each example's SHA-256, known since every picture was read once at loading;
    rows: int64 (M,), the rows that belong.
    """

    in_memory = False

    def __init__(
        self, read: Callable[[int], np.ndarray], shape: tuple[int, ...], digests: np.ndarray, rows: Tensor
    ) -> None:
        self.read = read
        self.shape = shape
        self.digests = digests
        self.rows = rows

    @property
    def nbytes(self) -> int:
        """The bytes that the pictures would take, decoded."""
        return len(self) * math.prod(self.shape)

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, indices: Tensor) -> Tensor:
        """Decode and return the pictures at `indices`, int64 (B,): uint8 (B, C, H, W)."""
        batch = np.empty((len(indices), *self.shape), np.uint8)
        # A pool per take costs a fraction of a millisecond, survives a fork and leaves no thread behind.
        with ThreadPoolExecutor(WORKERS) as pool:
            for place, picture in enumerate(pool.map(self.read, self.rows[indices].tolist())):
                batch[place] = picture
        return torch.from_numpy(batch)

    def select(self, indices: Tensor) -> "StreamedStore":
        """Return the store of the pictures at `indices`: int64 (M,)."""
        return StreamedStore(self.read, self.shape, self.digests, self.rows[indices])

    def digest(self) -> bytes:
        """Return the digest of the pictures that belong, in order, without decoding them again."""
        return hashlib.sha256(self.digests[self.rows.numpy()].tobytes()).digest()

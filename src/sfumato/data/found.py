"""What a reader hands over, before pictures are decoded and splits are made.

A reader finds all examples of its source in one sequence, the source's own test examples included and marked.
Pictures stay undecoded: only once all are known can a common size be chosen.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from torch import Tensor

from sfumato.data.dataset import Skipped
from sfumato.data.pictures import Form


class Pictures(Protocol):
    """A sequence of pictures that can be read in any order and from many threads."""

    def __len__(self) -> int: ...

    def name(self, index: int) -> str:
        """Return what to call the picture at `index` in a message."""
        ...

    def size(self, index: int) -> tuple[int, int]:
        """Return (width, height) of the picture at `index` as it lies there."""
        ...

    def fit(self, index: int, form: Form) -> np.ndarray:
        """Return the picture at `index`, brought to `form`: uint8 (C, H, W)."""
        ...


@dataclass(frozen=True, eq=False)
class Found:
    """The content of a source.

    examples: N pictures, or N vectors as float32 (N, D); labels: (N,) of str, or None; captions: N, or None;
    held_out: bool (N,), true for the source's own test examples, or None where it has no such split;
    classes: all label names in order, where the source itself lists them; skipped: what was left out already;
    attributes: bool (N, A), or None; attribute_names: A names.
    """

    examples: Pictures | Tensor
    labels: np.ndarray | None = None
    captions: tuple[str, ...] | None = None
    held_out: np.ndarray | None = None
    classes: tuple[str, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    attributes: np.ndarray | None = None
    attribute_names: tuple[str, ...] = ()

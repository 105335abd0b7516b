"""What an augmentation is: a random change of an example that leaves what it shows as it is.

Each has two halves: `draw` makes the random numbers of every example, and the piece itself is then a plain
function of (examples, numbers) in which no row looks at another. At strength 0 each is the identity.
"""

from typing import Protocol

import torch
from torch import Generator, Tensor


class Augmentation(Protocol):
    """A random change."""

    def draw(self, rows: int, shape: tuple[int, ...], generator: Generator) -> Tensor:
        """Draw the numbers of `rows` examples of `shape`: (rows, ...)."""
        ...

    def __call__(self, x: Tensor, drawn: Tensor) -> Tensor:
        """Change x: (B, ...) as the numbers say; the shape stays."""
        ...


def signs(rows: int, count: int, generator: Generator) -> Tensor:
    """Draw uniform numbers in [−1, 1): (rows, count)."""
    return 2 * torch.rand(rows, count, generator=generator) - 1

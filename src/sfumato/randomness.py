"""Randomness as an argument: nothing in sfumato draws from a global generator.

Sampling owns one generator per image, on the CPU, so image 7 of seed 7 is the same alone, in a batch of
64, and on another device. Training derives a generator from (seed, purpose, step): a resumed run needs no
saved generator state to draw what an uninterrupted one would have drawn.
"""

import hashlib
from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor


class Noise(Protocol):
    """A source of standard normal noise for one batch of samples."""

    def normal(self, shape: Sequence[int]) -> Tensor:
        """Draw standard normal noise of `shape`: (B, ...), float32 on the CPU."""
        ...


class SeededNoise:
    """Noise with one generator per image.

    seeds: one integer per image; the i-th row of every draw comes from the i-th seed alone.
    """

    def __init__(self, seeds: Sequence[int]) -> None:
        self.seeds = tuple(seeds)
        self._generators = [torch.Generator().manual_seed(int(seed)) for seed in self.seeds]

    def normal(self, shape: Sequence[int]) -> Tensor:
        """Draw standard normal noise of `shape`, whose first entry is the number of seeds."""
        if shape[0] != len(self._generators):
            raise ValueError(f"asked for {shape[0]} rows of noise from {len(self._generators)} seeds")
        rows = [torch.randn(*shape[1:], generator=generator) for generator in self._generators]
        return torch.stack(rows)


def generator(seed: int, purpose: str, index: int = 0) -> torch.Generator:
    """Return a CPU generator that depends on its three arguments and on nothing else."""
    digest = hashlib.sha256(f"{seed}/{purpose}/{index}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)


class BatchNoise:
    """Noise of one generator for a whole batch, for figures in which no row is asked for alone."""

    def __init__(self, source: torch.Generator) -> None:
        self._source = source

    def normal(self, shape: Sequence[int]) -> Tensor:
        """Draw standard normal noise of `shape`."""
        return torch.randn(*shape, generator=self._source)

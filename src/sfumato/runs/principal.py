"""Vectors as their principal components alone: a scaling, beside that of every channel by itself.

The *principal components* of vectors (Pearson 1901) are the directions a_1, a_2, … in which their spread
s_1 ≥ s_2 ≥ … is greatest, the eigenvectors of their covariance:

    y_i = a_i·(z − mean)/s_i,    i ≤ k,          z ≈ mean + Σ_i s_i·y_i·a_i

Embeddings lie near a few of them: the prior of DALL·E 2 sees 319 numbers of 1,024, the greatest spread first,
which lose next to nothing (Ramesh et al. 2022, section 2.2). Those that hold `HELD` of the squares are kept,

RUN/axes.safetensors
"""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor

from sfumato.errors import RunError
from sfumato.train.checkpoint import Checkpoint, load, save

AXES = "axes.safetensors"
HELD = 0.99
"""The share of the squared deviations from the mean that principal components hold together."""
LEAST = 1e-3
"""The least deviation: what never varies keeps its scale."""


@dataclass(frozen=True)
class Principal:
    """The principal components of vectors.

    mean: (D,); axes: (k, D), of length 1 and at right angles; std: (k,), the greatest first.
    """

    mean: Tensor
    axes: Tensor
    std: Tensor
    bounds: ClassVar[None] = None

    def to_model(self, x: Tensor) -> Tensor:
        """Return the standardised components of x: (B, D), as float32 (B, k)."""
        x = x.float()
        return (x - self.mean.to(x)) @ self.axes.to(x).T / self.std.to(x)

    def to_data(self, x: Tensor) -> Tensor:
        """Return the vectors whose standardised components are x: (B, k), and nothing besides: (B, D)."""
        x = x.float()
        return self.mean.to(x) + (x * self.std.to(x)) @ self.axes.to(x)

    def save(self, folder: Path) -> None:
        """Write it to a run's folder."""
        tensors = {"mean": self.mean, "axes": self.axes, "std": self.std}
        folder.mkdir(parents=True, exist_ok=True)
        save(folder / AXES, Checkpoint(tensors, {}))


def principal(z: Tensor, k: int | None = None) -> Principal:
    """Return the first k principal components of vectors z: (N, D), else those that hold `HELD` of it all."""
    z = z.double()
    mean = z.mean(0)
    # eigh has the least first.
    squares, axes = torch.linalg.eigh((z - mean).T @ (z - mean) / len(z))
    squares, axes = squares.flip(0).clamp(min=0), axes.T.flip(0)
    if k is None:
        k = int((squares.cumsum(0) < HELD * squares.sum()).sum()) + 1
    return Principal(mean.float(), axes[:k].float(), squares[:k].sqrt().clamp(min=LEAST).float())


def open_principal(folder: Path, shape: tuple[int, ...]) -> Principal:
    """Read what `Principal.save` wrote, of axes (k, D).

    Raises RunError where it is missing, damaged or another run's.
    """
    path = folder / AXES
    if not path.is_file():
        raise RunError(f"{path} is missing, without which codes mean nothing to this model: restore it.")
    found = load(path).tensors
    if {"mean", "axes", "std"} != found.keys() or found["axes"].shape != shape:
        raise RunError(
            f"{path} is not this run's, which has {shape[0]} axes of {shape[1]} numbers: restore it."
        )
    return Principal(**found)

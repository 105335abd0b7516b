"""What networks of several levels of latents have in common: their coordinates, and what a level costs.

The levels of a model p(x | z_1 … z_K) Π p(z_k | the coarser ones) count from 1, the finest, to K, the
coarsest. Each prior is a Gaussian, so every latent has a code

    e_k = (z_k − mean_k)/std_k,   mean_k, std_k: of p(z_k | the coarser ones),

and the codes of samples are independent standard normals, however the levels lean on each other. A code is
what is drawn, kept, exchanged or walked between; networks turn codes into data, the coarsest level first.
"""

import math
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from sfumato.condition import Condition
from sfumato.normal import Normal
from sfumato.precision import at_least_float32

WIDEST = 5.0
"""Largest size of a logarithm of a deviation, approached softly (Vahdat & Kautz 2020, their code)."""


class Level(NamedTuple):
    """What inference found at one level.

    code: (B, ...), of the latent that was drawn from q; nats: (B,), what the level adds to the bound on
    −log p(x), whose mean is E[log q − log p]; log_ratio: (B,), log p − log q at the latent itself.
    """

    code: Tensor
    nats: Tensor
    log_ratio: Tensor


class Levels(Protocol):
    """A network of K levels; lists of levels begin with the coarsest."""

    @property
    def sizes(self) -> tuple[tuple[int, ...], ...]:
        """The shape of each level's latent, the coarsest first."""
        ...

    def __call__(
        self, x: Tensor, noises: tuple[Tensor, ...], condition: Condition | None
    ) -> tuple[Tensor, tuple[Level, ...]]:
        """Infer the levels of x: (B, ...), given standard normal noise for each: (B, *size).

        Returns what the decoder puts out at them and the levels.
        """
        ...

    def generate(self, codes: tuple[Tensor, ...], condition: Condition | None) -> Tensor:
        """Return what the decoder puts out at `codes`: (B, *size) each."""
        ...


def normal_of(output: Tensor) -> Normal:
    """Return the Gaussian whose mean and log std are the halves of `output`: (B, 2C, ...) -> (B, C, ...)."""
    mean, raw = at_least_float32(output).chunk(2, dim=1)
    return Normal(mean, (WIDEST * torch.tanh(raw / WIDEST)).exp())


def raw_of(std: float) -> float:
    """Return what a network must put out for `normal_of` to have this deviation."""
    return WIDEST * math.atanh(math.log(std) / WIDEST)


def standard(like: Tensor) -> Normal:
    """Return the standard normal in the shape of `like`: (B, ...)."""
    return Normal(torch.zeros_like(like), torch.ones_like(like))

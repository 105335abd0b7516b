"""Grids over the T steps of a training chain, as published models number them.

The chain's step k of 0 … T − 1 ends at our time t = (k + 1)/T. For K sampling steps the spacings are (Lin et
al. 2024, table 2, in that numbering)

    trailing    k_i = round(T·(K − i)/K) − 1           from T − 1, the noisiest; cleanest T/K − 1
    linspaced   k_i = round((T − 1)·(1 − i/(K − 1)))   from T − 1 to 0, both ends
    leading     k_i = (K − 1 − i)·floor(T/K)           from about T − T/K, to 0

and each is followed by the clean end t = 0. A sampler is given every (t, s) in turn: where K does not divide
T the step before is not "k − T // K".
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from sfumato.diffusion.grids.base import at_least_one, down_to_zero
from sfumato.diffusion.schedules import Schedule
from sfumato.errors import ConfigError


def _countdown(steps: int, of: int) -> Tensor:
    """Return K, …, 1 as float64, if a chain of `of` steps has as many."""
    at_least_one(steps)
    if steps > of:
        raise ConfigError(f"a chain of {of} steps cannot be sampled in {steps}: ask for {of} steps or fewer")
    return torch.arange(steps, 0, -1, dtype=torch.float64)


def _times(index: Tensor, of: int) -> Tensor:
    return down_to_zero((index + 1) / of)


def _check(of: int) -> None:
    if of < 1:
        raise ConfigError(f"a chain has at least 1 step, not {of}")


@dataclass(frozen=True)
class TrailingGrid:
    """The last of every T/K steps; it visits the noisiest one. of: T."""

    of: int = 1000

    def __post_init__(self) -> None:
        _check(self.of)

    def times(self, steps: int, schedule: Schedule) -> Tensor:
        """Return steps + 1 times, each a multiple of 1/T; raise ConfigError for more steps than T."""
        # One division of whole numbers, so that a half is a half and is rounded to even as in NumPy.
        return _times((_countdown(steps, self.of) * self.of / steps).round() - 1, self.of)


@dataclass(frozen=True)
class LinspacedGrid:
    """K of the T steps from the noisiest to the cleanest; a single one is the noisiest. of: T."""

    of: int = 1000

    def __post_init__(self) -> None:
        _check(self.of)

    def times(self, steps: int, schedule: Schedule) -> Tensor:
        """Return steps + 1 times, each a multiple of 1/T; raise ConfigError for more steps than T."""
        left = _countdown(steps, self.of) - 1
        share = left / (steps - 1) if steps > 1 else torch.ones_like(left)
        return _times(((self.of - 1) * share).round(), self.of)


@dataclass(frozen=True)
class LeadingGrid:
    """The first of every T // K steps, the spacing of DDIM's released code. of: T.

    It never visits the noisiest level unless K = T: pure noise is taken for a sample of a cleaner level, and
    pictures come out with less contrast than the data's. It is here to repeat published samples; use
    `TrailingGrid`.
    """

    of: int = 1000

    def __post_init__(self) -> None:
        _check(self.of)

    def times(self, steps: int, schedule: Schedule) -> Tensor:
        """Return steps + 1 times, each a multiple of 1/T; raise ConfigError for more steps than T."""
        return _times((_countdown(steps, self.of) - 1) * (self.of // steps), self.of)

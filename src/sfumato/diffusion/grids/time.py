"""Grids in time, which know nothing of the noise levels there.

uniform     t_i = 1 − i/K
quadratic   t_i = (1 − i/K)²,   close together near the data
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from sfumato.diffusion.grids.base import at_least_one
from sfumato.diffusion.schedules import Schedule


@dataclass(frozen=True)
class UniformGrid:
    """Equal steps of time: 1, 1 − 1/K, …, 0."""

    def times(self, steps: int, schedule: Schedule) -> Tensor:
        """Return steps + 1 equally spaced times."""
        at_least_one(steps)
        return torch.linspace(1, 0, steps + 1, dtype=torch.float64)


@dataclass(frozen=True)
class QuadraticGrid:
    """Equal steps of sqrt(t) (Song et al. 2021, "DDIM", appendix D.2).

    Theirs, floor(c·i²) with c chosen so that the noisiest is close to T, runs here from 1 itself to 0.
    """

    def times(self, steps: int, schedule: Schedule) -> Tensor:
        """Return the squares of steps + 1 equally spaced numbers."""
        at_least_one(steps)
        return torch.linspace(1, 0, steps + 1, dtype=torch.float64).square()

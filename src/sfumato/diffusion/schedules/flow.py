"""Rectified flow: a straight line from data to noise.

x_t = (1 − t)·x0 + t·eps   (Liu et al. 2023; Lipman et al. 2023)
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from sfumato.diffusion.level import Level, as_time


@dataclass(frozen=True)
class RectifiedFlow:
    """alpha = 1 − t, sigma = t; it reaches alpha = 0 at t = 1."""

    t_min = 1e-3
    prior_std = 1.0

    def level(self, t: Tensor | float) -> Level:
        """Return the level at `t` in [0, 1]: () or (B,)."""
        time = as_time(t)
        return Level(time, 1 - time, time, -torch.ones_like(time), torch.ones_like(time))

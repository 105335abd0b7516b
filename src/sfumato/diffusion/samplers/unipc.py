"""UniPC: a predictor of order p and a corrector of order p + 1 that costs nothing (Zhao et al. 2023).

Predictor (UniP-p): the polynomial in lambda through the last p estimates of x0, from x_t^c to x_s.
Corrector (UniC-p): once x̂0 is known at the predicted x_s, the same step again, through that estimate too:

    x_s^c = the step from x_t^c to s along the polynomial through x̂0_s, x̂0_t and the p − 1 before

The estimate that corrects at s is the one that the next step begins with, so there is one evaluation a step.
The last point, at which nothing is asked, is not corrected. The order is p + 1 on steps of any lengths (their
theorem 3.1). A step along a line alone leaves its coefficient open, which B(h) settles.
"""

import math
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from sfumato.diffusion.samplers.base import Question, Scales, Step
from sfumato.diffusion.samplers.exponential import ScaleOfStep, bh1, bh2, half_log_snr, polynomial_step
from sfumato.diffusion.samplers.interpolation import Point, remember
from sfumato.errors import ConfigError
from sfumato.randomness import Noise


@dataclass(frozen=True)
class Corrected:
    """What UniPC remembers: a corrected sample x: (B, ...), its level, and the estimates up to it."""

    level: Scales
    x: Tensor
    points: tuple[Point, ...]


@dataclass(frozen=True)
class UniPC:
    """UniPC-p. One evaluation a step; its first steps have the orders that the estimates so far allow.

    order: p, from 1 to 3; scale: B(h). Steps to or from an infinite lambda are DDIM's and not corrected.
    """

    order: int = 2
    scale: ScaleOfStep = bh2

    def __post_init__(self) -> None:
        if self.order not in (1, 2, 3):
            raise ConfigError(f"the order of UniPC must be 1, 2 or 3, not {self.order}")

    def step(self, ask: Question, x_t: Tensor, t: Scales, s: Scales, noise: Noise, memory: Any) -> Step:
        """Correct x_t by the estimate at it, then predict x_s."""
        x0 = ask(x_t, t).x0
        here, before = (half_log_snr(t), x0), ()
        if memory is not None:
            x_t = polynomial_step(memory.x, (*memory.points, here), memory.level, t, self.scale)
            before = memory.points
        points = remember(here, before, self.order)
        x_s = polynomial_step(x_t, points, t, s, self.scale)
        return Step(x_s, x0, Corrected(t, x_t, points) if math.isfinite(here[0]) else None)


def unipc(order: int = 2) -> UniPC:
    """Return UniPC with B(h) = 1 − e^{−h}, for ten steps and more."""
    return UniPC(order, bh2)


def unipc_bh1(order: int = 2) -> UniPC:
    """Return UniPC with B(h) = h, which its authors advise for fewer than ten steps without guidance."""
    return UniPC(order, bh1)

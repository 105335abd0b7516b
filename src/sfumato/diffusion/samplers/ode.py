"""Solvers of the probability-flow ODE in time.

    dx_t/dt = alpha′·x̂0(x_t, t) + sigma′·ε̂(x_t, t)

For any schedule this is Song et al. 2021, equation 13, with the score −ε̂/sigma put in. No solver asks at
the clean end, where ε̂ is not defined.
"""

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from sfumato.diffusion.later import later
from sfumato.diffusion.prediction import Estimate
from sfumato.diffusion.samplers.base import Question, Scales, Step
from sfumato.randomness import Noise


def slope(estimate: Estimate, t: Scales) -> Tensor:
    """Return dx_t/dt: (B, ...)."""
    return estimate.mix(t.d_alpha, t.d_sigma)


def moved_along(estimate: Estimate, t: Scales, h: float) -> Tensor:
    """Return x_t + h·dx_t/dt: (B, ...), by x_t = alpha·x0 + sigma·eps."""
    return estimate.mix(t.alpha + h * t.d_alpha, t.sigma + h * t.d_sigma)


@dataclass(frozen=True)
class Euler:
    """x_s = x_t + (s − t)·dx_t/dt. Order 1, one evaluation a step."""

    def step(self, ask: Question, x_t: Tensor, t: Scales, s: Scales, noise: Noise, memory: Any) -> Step:
        """Follow the slope at t."""
        estimate = ask(x_t, t)
        return Step(moved_along(estimate, t, s.t - t.t), later(lambda: estimate.x0))


@dataclass(frozen=True)
class Heun:
    """Euler, then the mean of the slopes at both ends (Karras et al. 2022, algorithm 1).

    Order 2, two evaluations a step, one at the last step, whose end s = 0 is not asked about. The mean of the
    slopes leads half way between x_t and where another step of Euler's leads from Euler's x_s.
    """

    def step(self, ask: Question, x_t: Tensor, t: Scales, s: Scales, noise: Noise, memory: Any) -> Step:
        """Follow the mean of the slopes at t and at Euler's x_s."""
        estimate, h = ask(x_t, t), s.t - t.t
        x_s = moved_along(estimate, t, h)
        if s.t > 0:
            x_s = x_t.lerp(moved_along(ask(x_s, s), s, h), 0.5)
        return Step(x_s, later(lambda: estimate.x0))

"""Solvers of the probability-flow ODE in time.

    dx_t/dt = alpha′·x̂0(x_t, t) + sigma′·ε̂(x_t, t)

For any schedule this is Song et al. 2021, equation 13, with the score −ε̂/sigma put in. No solver asks at
the clean end, where ε̂ is not defined.
"""

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from sfumato.diffusion.prediction import Estimate
from sfumato.diffusion.samplers.base import Question, Scales, Step
from sfumato.randomness import Noise


def slope(estimate: Estimate, t: Scales) -> Tensor:
    """Return dx_t/dt: (B, ...)."""
    return t.d_alpha * estimate.x0 + t.d_sigma * estimate.eps


@dataclass(frozen=True)
class Euler:
    """x_s = x_t + (s − t)·dx_t/dt. Order 1, one evaluation a step."""

    def step(self, ask: Question, x_t: Tensor, t: Scales, s: Scales, noise: Noise, memory: Any) -> Step:
        """Follow the slope at t."""
        estimate = ask(x_t, t)
        return Step(x_t + (s.t - t.t) * slope(estimate, t), estimate.x0)


@dataclass(frozen=True)
class Heun:
    """Euler, then the mean of the slopes at both ends (Karras et al. 2022, algorithm 1).

    Order 2, two evaluations a step, one at the last step, whose end s = 0 is not asked about.
    """

    def step(self, ask: Question, x_t: Tensor, t: Scales, s: Scales, noise: Noise, memory: Any) -> Step:
        """Follow the mean of the slopes at t and at Euler's x_s."""
        estimate = ask(x_t, t)
        first = slope(estimate, t)
        x_s = x_t + (s.t - t.t) * first
        if s.t > 0:
            second = slope(ask(x_s, s), s)
            x_s = x_t + (s.t - t.t) * 0.5 * (first + second)
        return Step(x_s, estimate.x0)

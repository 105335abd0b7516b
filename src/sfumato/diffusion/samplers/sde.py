"""Euler–Maruyama on the reverse-time stochastic differential equation.

    dx = [f x − g²·score] dt + g dw̄,   backwards in time              (Song et al. 2021, equation 6)

With score = −eps/sigma its drift is the slope of the probability-flow ODE and once more half the push
towards the data, d_alpha·x0 + d_sigma·eps + g²/(2 sigma)·eps, so a step of length h = t − s is

    x_s = x_t − h·(d_alpha·x̂0 + d_sigma·ε̂ + g²/(2 sigma)·ε̂) + g·sqrt(h)·z

Both ends are special. Where alpha_t = 0, f and g are infinite: nothing of x_t survives, and the first step is
the equation's own exact solution for a fixed x̂0, alpha_s·x̂0 + sigma_s·z. The last step, to t = 0, draws no
noise: it is the estimate x̂0, as DDPM's is.
"""

import math
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from sfumato.diffusion.combination import add_to
from sfumato.diffusion.later import later
from sfumato.diffusion.level import Level
from sfumato.diffusion.prediction import Estimate
from sfumato.diffusion.process import drift_and_diffusion
from sfumato.diffusion.remembering import remembered
from sfumato.diffusion.samplers.base import Question, Scales, Step
from sfumato.diffusion.samplers.stochastic import Renoise, recombine
from sfumato.diffusion.schedules import Schedule
from sfumato.randomness import Noise


@dataclass(frozen=True)
class EulerMaruyama:
    """One step of the reverse equation. Weak order 1, one evaluation a step (Song et al. 2021)."""

    def step(self, ask: Question, x_t: Tensor, t: Scales, s: Scales, noise: Noise, memory: Any) -> Step:
        """Follow the drift at t and add the noise of the time it takes."""
        estimate = ask(x_t, t)
        if s.t == 0:
            x_s = estimate.x0
        elif t.alpha == 0:
            x_s = recombine(Renoise(), estimate, t, s, noise)
        else:
            x_s = _moved(ask.schedule, estimate, t, s, noise)
        return Step(x_s, later(lambda: estimate.x0))


def _moved(schedule: Schedule, estimate: Estimate, t: Scales, s: Scales, noise: Noise) -> Tensor:
    h, g = t.t - s.t, _diffusion(schedule, t.level)
    # With x_t = alpha·x0 + sigma·eps the step is a sum of x0 and eps.
    x_s = estimate.mix(t.alpha - h * t.d_alpha, t.sigma - h * (t.d_sigma + g * g / (2 * t.sigma)))
    return add_to(x_s, g * math.sqrt(h), noise.normal(x_s.shape).to(x_s))


@remembered
def _diffusion(schedule: Schedule, level: Level) -> float:
    return float(drift_and_diffusion(schedule, level.t)[1])

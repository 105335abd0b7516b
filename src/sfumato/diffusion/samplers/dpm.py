"""DPM-Solver++: multistep solvers in the log of the signal-to-noise ratio, one evaluation a step.

DPM-Solver++ 2M (Lu et al. 2022b, algorithm 2) takes x̂0 to be linear in lambda through the last two estimates:

    D   = x̂0_t + h/(2 h_before)·(x̂0_t − x̂0_before)
    x_s = sigma_s/sigma_t·x_t + alpha_s·(1 − e^{−h})·D

3M goes on to the parabola through three, integrated exactly (their proposition 4.1 with the Taylor terms up
to the second; the second derivative there is twice the second divided difference). SDE 2M (their appendix on
SDE solvers) solves the reverse SDE instead, whose exact solution for a constant x̂0 is the posterior
q(x_s | x_t, x0 = x̂0), and puts 2M's D for x̂0.
"""

import math
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from sfumato.diffusion.combination import add_to, combine
from sfumato.diffusion.process import posterior_scales
from sfumato.diffusion.samplers.base import Question, Scales, Step
from sfumato.diffusion.samplers.exponential import half_log_snr, polynomial_step
from sfumato.diffusion.samplers.interpolation import Point, remember, weights
from sfumato.errors import ConfigError
from sfumato.randomness import Noise


def _known(x0: Tensor, t: Scales, memory: Any, most: int) -> tuple[Point, ...]:
    """Return the last estimates, the newest first; one at an infinite lambda stands alone."""
    place = half_log_snr(t)
    before = memory if memory is not None and math.isfinite(memory[0][0]) else ()
    return remember((place, x0), before, most)


@dataclass(frozen=True)
class DPMSolverPP:
    """DPM-Solver++ multistep, of its order on steps of any lengths; the first ones have what is known so far.

    order: 2 or 3, the estimates of x0 that a step goes by. Its first step, and one to or from an infinite
    lambda, are DDIM's; 3M's second is 2M's. Raises ConfigError for another order.
    """

    order: int = 2

    def __post_init__(self) -> None:
        if self.order not in (2, 3):
            raise ConfigError(f"the order of DPM-Solver++ must be 2 or 3, not {self.order}")

    def step(self, ask: Question, x_t: Tensor, t: Scales, s: Scales, noise: Noise, memory: Any) -> Step:
        """Extrapolate x0 from this estimate and those before."""
        x0 = ask(x_t, t).x0
        points = _known(x0, t, memory, self.order)
        return Step(polynomial_step(x_t, points, t, s), x0, points)


def dpm_2m() -> DPMSolverPP:
    """Return DPM-Solver++ 2M."""
    return DPMSolverPP(2)


def dpm_3m() -> DPMSolverPP:
    """Return DPM-Solver++ 3M."""
    return DPMSolverPP(3)


@dataclass(frozen=True)
class SDEDPMSolverPP2M:
    """SDE-DPM-Solver++ 2M. Fresh noise at every step; its first step is DDPM's ancestral one."""

    def step(self, ask: Question, x_t: Tensor, t: Scales, s: Scales, noise: Noise, memory: Any) -> Step:
        """Draw x_s from the posterior of the extrapolated x0."""
        x0 = ask(x_t, t).x0
        points = _known(x0, t, memory, 2)
        places, values = zip(*points, strict=True)
        h, factors = half_log_snr(s) - half_log_snr(t), [0.0] * len(points)
        if math.isfinite(h):
            # Halfway along the step the line through both estimates is D.
            factors = weights(places, h, [0.5] * (len(points) - 1))
        factors[0] += 1
        of_x_t, of_x0, kappa = (float(v) for v in posterior_scales(s.level, t.level))
        x_s = combine(
            (of_x_t, x_t), *((of_x0 * factor, f) for factor, f in zip(factors, values, strict=True))
        )
        if kappa > 0:
            x_s = add_to(x_s, kappa, noise.normal(x_t.shape).to(x_t))
        return Step(x_s, x0, points)

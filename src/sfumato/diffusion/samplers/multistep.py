"""Multistep solvers in the log of the signal-to-noise ratio: one evaluation a step, the last one remembered.

With lambda = log(alpha/sigma) and h = lambda_s − lambda_t, the probability-flow ODE has the exact solution

    x_s = sigma_s/sigma_t·x_t + sigma_s·∫ e^lambda x̂0 d lambda     (Lu et al. 2022b, proposition 4.1)

DPM-Solver++ 2M (their algorithm 2) takes x̂0 to be linear in lambda through the last two estimates:

    D   = x̂0_t + h/(2 h_before)·(x̂0_t − x̂0_before)
    x_s = sigma_s/sigma_t·x_t + alpha_s·(1 − e^{−h})·D
"""

import math
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from sfumato.diffusion.samplers.base import Question, Scales, Step
from sfumato.randomness import Noise


def half_log_snr(level: Scales) -> float:
    """Return lambda = log(alpha/sigma), infinite at the ends."""
    if level.alpha == 0:
        return -math.inf
    return math.log(level.alpha / level.sigma) if level.sigma > 0 else math.inf


def exponential_step(x_t: Tensor, x0: Tensor, t: Scales, s: Scales) -> Tensor:
    """Return sigma_s/sigma_t·x_t + alpha_s·(1 − e^{−h})·x0, the exact step for a constant x̂0."""
    ratio = s.sigma / t.sigma
    return ratio * x_t + (s.alpha - ratio * t.alpha) * x0


@dataclass(frozen=True)
class DPMSolverPP2M:
    """DPM-Solver++ 2M. Order 2; its first step, and one to or from an infinite lambda, are DDIM's."""

    def step(self, ask: Question, x_t: Tensor, t: Scales, s: Scales, noise: Noise, memory: Any) -> Step:
        """Extrapolate x0 from this estimate and the one before."""
        x0 = ask(x_t, t).x0
        h = half_log_snr(s) - half_log_snr(t)
        mean = x0
        if memory is not None and math.isfinite(h):
            x0_before, h_before = memory
            mean = x0 + h / (2 * h_before) * (x0 - x0_before)
        return Step(exponential_step(x_t, mean, t, s), x0, (x0, h))

"""The exponential integrator that the fast solvers share: exact but for x̂0, which is a polynomial in lambda.

With lambda = log(alpha/sigma) and h = lambda_s − lambda_t, the probability-flow ODE has the exact solution

    x_s = sigma_s/sigma_t·x_t + sigma_s·∫ e^lambda x̂0 d lambda     (Lu et al. 2022b, proposition 4.1)
        = sigma_s/sigma_t·x_t + alpha_s·h·∫₀¹ e^{−h(1−u)} x̂0 du,   lambda = lambda_t + u·h

For a constant x̂0 this is DDIM. For a polynomial through several estimates it needs the moments

    M_k = ∫₀¹ e^{−h(1−u)} u^k du = k!·φ_{k+1}(−h),   M_0 = (1 − e^{−h})/h,   M_k = (1 − k·M_{k−1})/h

With two estimates one moment is in play, and any h·M_1 = ½·B(h) with B(h) = h + O(h²) keeps order 2. That
freedom is used: B = 1 − e^{−h} is DPM-Solver++ 2M, and both choices below are UniPC's (Zhao et al. 2023,
section 3.1, in their signs e^h − 1 and h). Steps to or from an infinite lambda are DDIM's.
"""

import math
from collections.abc import Callable, Sequence

from torch import Tensor

from sfumato.diffusion.combination import combine
from sfumato.diffusion.remembering import kept
from sfumato.diffusion.samplers.base import Scales
from sfumato.diffusion.samplers.interpolation import Point, weights

ScaleOfStep = Callable[[float], float]
"""B(h), for h > 0."""


def bh1(h: float) -> float:
    """Return B(h) = h."""
    return h


def bh2(h: float) -> float:
    """Return B(h) = 1 − e^{−h}."""
    return -math.expm1(-h)


def half_log_snr(level: Scales) -> float:
    """Return lambda = log(alpha/sigma), infinite at the ends."""
    if level.alpha == 0:
        return -math.inf
    return math.log(level.alpha / level.sigma) if level.sigma > 0 else math.inf


def exponential_moments(h: float, n: int) -> list[float]:
    """Return [M_1, …, M_n] for h > 0."""
    if h > 1:
        moments = [bh2(h) / h]
        for k in range(1, n + 1):
            moments.append((1 - k * moments[-1]) / h)
        return moments[1:]
    # The recursion loses digits where h is small; e^{−h} Σ_j h^j/(j!·(k + 1 + j)) has positive terms only.
    terms = [math.exp(-h) * h**j / math.factorial(j) for j in range(20)]
    return [math.fsum(term / (k + 1 + j) for j, term in enumerate(terms)) for k in range(1, n + 1)]


def polynomial_step(
    x_t: Tensor, points: Sequence[Point], t: Scales, s: Scales, scale: ScaleOfStep = bh2
) -> Tensor:
    """Return x_s: (B, ...) for the polynomial in lambda through `points`.

    points: (lambda, x̂0), one or more, the first of them at t; scale: B(h), used where there are two.
    """
    places, values = zip(*points, strict=True)
    return combine(*zip(_factors(places, t, s, scale), (x_t, *values), strict=True))


@kept
def _factors(places: tuple[float, ...], t: Scales, s: Scales, scale: ScaleOfStep) -> list[float]:
    """Return the factors of x_t and of the values at `places` in the step."""
    h, ratio = half_log_snr(s) - half_log_snr(t), s.sigma / t.sigma
    constant = s.alpha - ratio * t.alpha  # alpha_s·(1 − e^{−h}), also where h is infinite
    if len(places) == 1 or not math.isfinite(h):
        return [ratio, constant, *(0.0 for _ in places[1:])]
    moments = [0.5 * scale(h) / h] if len(places) == 2 else exponential_moments(h, len(places) - 1)
    first, *others = (s.alpha * h * weight for weight in weights(places, h, moments))
    return [ratio, constant + first, *others]

"""Adams–Bashforth on the ratio of noise to signal, with variable steps: DEIS in its rho form.

With rho = sigma/alpha and y = x/alpha the probability-flow ODE is as plain as can be,

    dy/d rho = ε̂       so       x_s = alpha_s·( y_t + ∫ ε̂ d rho )     from rho_t to rho_s

(Zhang & Chen 2023, rho-AB). ε̂ is the polynomial P in rho through the last slopes, integrated exactly.
Order 1, where it is constant, is DDIM, and with H = rho_s − rho_t and u = (rho − rho_t)/H

    x_s = alpha_s·x̂0 + sigma_s·ε̂_t + alpha_s·H·∫₀¹ (P(u) − ε̂_t) du,   M_k = ∫₀¹ u^k du = 1/(k + 1)
"""

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from sfumato.diffusion.combination import add_to
from sfumato.diffusion.later import later
from sfumato.diffusion.samplers.base import Question, Scales, Step
from sfumato.diffusion.samplers.interpolation import remember, weights
from sfumato.errors import ConfigError
from sfumato.randomness import Noise


@dataclass(frozen=True)
class AdamsBashforth:
    """Adams–Bashforth of an order from 1 to 4. One evaluation a step.

    Its first steps have the orders that the slopes so far allow. Where alpha = 0 the ratio is infinite: that
    step is DDIM's, and its slope is not remembered.
    """

    order: int = 3

    def __post_init__(self) -> None:
        if self.order not in (1, 2, 3, 4):
            raise ConfigError(f"the order of Adams–Bashforth must be 1, 2, 3 or 4, not {self.order}")

    def step(self, ask: Question, x_t: Tensor, t: Scales, s: Scales, noise: Noise, memory: Any) -> Step:
        """Go along the polynomial through this slope and those before."""
        estimate = ask(x_t, t)
        if t.alpha == 0:
            return Step(estimate.mix(s.alpha, s.sigma), later(lambda: estimate.x0))
        here, there = t.sigma / t.alpha, s.sigma / s.alpha
        points = remember((here, estimate.eps), memory or (), self.order)
        moments = [1 / (k + 1) for k in range(1, len(points))]
        length = s.alpha * (there - here)
        places, slopes = zip(*points, strict=True)
        of_eps, *others = [length * weight for weight in weights(places, there - here, moments)]
        x_s = estimate.mix(s.alpha, s.sigma + of_eps)
        for factor, slope in zip(others, slopes[1:], strict=True):
            add_to(x_s, factor, slope)
        return Step(x_s, later(lambda: estimate.x0), points)

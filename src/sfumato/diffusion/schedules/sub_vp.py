"""The sub-VP schedule: the variance preserving signal under less noise.

    alpha(t) = exp(−½ ∫₀ᵗ beta(u) du),   sigma(t) = 1 − alpha(t)²      (Song et al. 2021, equation 29)

Its noise is the square of the variance preserving one's, alpha² + sigma² <= 1, and its equation has the same
drift under a diffusion that starts from nothing (their equation 12):

    f = −½ beta(t),   g² = beta(t)·(1 − e^{−2 ∫₀ᵗ beta(u) du})
"""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from sfumato.diffusion.level import Level, as_time
from sfumato.diffusion.schedules.variance_preserving import LinearVP


@dataclass(frozen=True)
class SubVP:
    """Sub-VP under beta(t) = beta_min + t·(beta_max − beta_min) (Song et al. 2021, appendix C).

    beta_min, beta_max: the rates at t = 0 and 1; raises ConfigError unless 0 < beta_min <= beta_max.
    """

    beta_min: float = 0.1
    beta_max: float = 20.0
    t_min = 1e-3
    prior_std = 1.0

    def __post_init__(self) -> None:
        _ = self.preserving  # checks both

    @cached_property
    def preserving(self) -> LinearVP:
        """The variance preserving schedule of the same signal."""
        return LinearVP(self.beta_min, self.beta_max)

    def level(self, t: Tensor | float) -> Level:
        """Return the level at `t` in [0, 1]: () or (B,)."""
        time = as_time(t)
        log_alpha, slope = self.preserving.log_alpha(time)
        alpha = log_alpha.exp()
        d_alpha = alpha * slope
        return Level(time, alpha, -torch.expm1(2 * log_alpha), d_alpha, -2 * alpha * d_alpha)

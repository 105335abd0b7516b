"""Variance exploding schedules: the signal stays, the noise grows until it drowns it.

    x_t = x_{t−1} + N(0, sigma_t² I),   in one shot N(x0, (Σ sigma_i²) I)   (Song & Ermon 2019)

alpha = 1 at all times; sigma is the cumulative scale. The prior is N(0, sigma(1)² I).
"""

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from sfumato.diffusion.level import Level, as_time
from sfumato.errors import ConfigError


def _exploding(time: Tensor, sigma: Tensor, d_sigma: Tensor) -> Level:
    return Level(time, torch.ones_like(sigma), sigma, torch.zeros_like(sigma), d_sigma)


@dataclass(frozen=True)
class GeometricVE:
    """sigma(t) = sigma_min·(sigma_max/sigma_min)^t (Song et al. 2021, equation 30)."""

    sigma_min: float = 0.01
    sigma_max: float = 50.0
    t_min = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.sigma_min < self.sigma_max:
            raise ConfigError(f"a geometric schedule needs 0 < sigma_min < sigma_max, not {self}")

    @property
    def prior_std(self) -> float:
        """The largest noise."""
        return self.sigma_max

    def level(self, t: Tensor | float) -> Level:
        """Return the level at `t` in [0, 1]: () or (B,)."""
        rate = math.log(self.sigma_max / self.sigma_min)
        time = as_time(t)
        sigma = self.sigma_min * (time * rate).exp()
        return _exploding(time, sigma, rate * sigma)


@dataclass(frozen=True)
class LinearVE:
    """sigma(t) = t·sigma_max, EDM's sigma(t) = t in other units (Karras et al. 2022, table 1)."""

    sigma_max: float = 80.0
    sigma_min: float = 0.002

    def __post_init__(self) -> None:
        if not 0 < self.sigma_min < self.sigma_max:
            raise ConfigError(f"a linear exploding schedule needs 0 < sigma_min < sigma_max, not {self}")

    @property
    def t_min(self) -> float:
        """The time of the smallest noise a network is asked about."""
        return self.sigma_min / self.sigma_max

    @property
    def prior_std(self) -> float:
        """The largest noise."""
        return self.sigma_max

    def level(self, t: Tensor | float) -> Level:
        """Return the level at `t` in [0, 1]: () or (B,)."""
        time = as_time(t)
        return _exploding(time, time * self.sigma_max, torch.full_like(time, self.sigma_max))


@dataclass(frozen=True)
class NoiseSteps:
    """Any list of step noises: step i of T adds N(0, sigmas[i]² I) and ends at t = i/T.

    Between two steps the variance grows linearly. sigmas: T positive numbers.
    """

    sigmas: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.sigmas or not all(sigma > 0 for sigma in self.sigmas):
            raise ConfigError("a list of step noises needs at least one number, each above 0")

    def __hash__(self) -> int:
        # As for betas: it is asked for at every step, and the list may be long.
        return hash((NoiseSteps, len(self.sigmas), self.sigmas[0], self.sigmas[-1]))

    @property
    def t_min(self) -> float:
        """The end of the first step."""
        return 1 / len(self.sigmas)

    @property
    def prior_std(self) -> float:
        """The cumulative noise of all steps."""
        return math.sqrt(math.fsum(sigma * sigma for sigma in self.sigmas))

    @cached_property
    def _variances(self) -> Tensor:
        steps = torch.tensor(self.sigmas, dtype=torch.float64).square()
        return torch.cat([torch.zeros(1, dtype=torch.float64), steps.cumsum(0)])

    def level(self, t: Tensor | float) -> Level:
        """Return the level at `t` in [0, 1]: () or (B,)."""
        time, steps = as_time(t), len(self.sigmas)
        table = self._variances.to(time)
        index = (time * steps).floor().clamp(0, steps - 1).long()
        rise = table[index + 1] - table[index]
        sigma = (table[index] + (time * steps - index) * rise).sqrt()
        return _exploding(time, sigma, 0.5 * rise * steps / sigma)

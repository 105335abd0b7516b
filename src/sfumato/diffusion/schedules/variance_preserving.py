"""Variance preserving schedules: alpha² + sigma² = 1.

    x_t ~ N(sqrt(1 − beta_t)·x_{t−1}, beta_t I)   (Ho et al. 2020, equation 2)
    alpha_t² = prod_{i ≤ t} (1 − beta_i)          (their alpha-bar_t, equation 4)

In continuous time, log alpha(t) = −½ ∫₀ᵗ beta(u) du (Song et al. 2021, equation 29). Each class gives
log alpha and its slope; the noise follows as sigma = sqrt(1 − alpha²), computed by expm1 so that it keeps
its digits near t = 0.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from sfumato.diffusion.level import Level, as_time
from sfumato.errors import ConfigError


class VariancePreserving(ABC):
    """The shared half of every schedule that is given by log alpha(t)."""

    prior_std = 1.0

    @property
    def t_min(self) -> float:
        """The cleanest time at which a network is asked."""
        return 1e-3

    @abstractmethod
    def log_alpha(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """Return log alpha and d log alpha/dt at `t`."""

    def level(self, t: Tensor | float) -> Level:
        """Return the level at `t` in [0, 1]: () or (B,)."""
        time = as_time(t)
        log_alpha, slope = self.log_alpha(time)
        alpha, sigma = log_alpha.exp(), (-torch.expm1(2 * log_alpha)).sqrt()
        return Level(time, alpha, sigma, alpha * slope, -alpha.square() * slope / sigma)


@dataclass(frozen=True)
class LinearVP(VariancePreserving):
    """beta(t) = beta_min + t·(beta_max − beta_min), in continuous time (Song et al. 2021, appendix C)."""

    beta_min: float = 0.1
    beta_max: float = 20.0

    def __post_init__(self) -> None:
        if not 0 < self.beta_min <= self.beta_max:
            raise ConfigError(f"a linear schedule needs 0 < beta_min <= beta_max, not {self}")

    def log_alpha(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """Return −¼ t² (beta_max − beta_min) − ½ t beta_min, and its slope."""
        rise = self.beta_max - self.beta_min
        return -0.25 * t.square() * rise - 0.5 * t * self.beta_min, -0.5 * (self.beta_min + t * rise)


@dataclass(frozen=True)
class Betas(VariancePreserving):
    """Any list of step variances; step i of T ends at t = i/T.

    Between two steps the rate is constant, so log alpha is linear in t and every list has a level at every
    time. betas: T numbers in (0, 1).
    """

    betas: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.betas or not all(0 < beta < 1 for beta in self.betas):
            raise ConfigError("a list of betas needs at least one number, each strictly between 0 and 1")

    def __hash__(self) -> int:
        # What is kept of a schedule is looked up at every step, too often to read a thousand numbers.
        return hash((Betas, len(self.betas), self.betas[0], self.betas[-1]))

    @property
    def t_min(self) -> float:
        """The end of the first step."""
        return 1 / len(self.betas)

    @cached_property
    def _log_alphas(self) -> Tensor:
        steps = 0.5 * torch.log1p(-torch.tensor(self.betas, dtype=torch.float64))
        return torch.cat([torch.zeros(1, dtype=torch.float64), steps.cumsum(0)])

    def log_alpha(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """Interpolate the cumulative sum of ½ log(1 − beta) linearly."""
        steps = len(self.betas)
        table = self._log_alphas.to(t)
        index = (t * steps).floor().clamp(0, steps - 1).long()
        rise = table[index + 1] - table[index]
        return table[index] + (t * steps - index) * rise, rise * steps


def linear_betas(steps: int = 1000, first: float = 1e-4, last: float = 0.02) -> Betas:
    """DDPM's betas from `first` to `last` (Ho et al. 2020, section 4), scaled to the number of steps.

    The paper's values belong to 1,000 steps. With fewer steps each must do more, or most of the signal is
    still there at the end: betas are multiplied by 1000/steps.
    """
    if steps < 1:
        raise ConfigError(f"steps must be at least 1, not {steps}")
    scale = 1000 / steps
    if last * scale >= 1:
        raise ConfigError(
            f"{steps} steps are too few for linear betas up to {last} (scaled by 1000/{steps} they pass 1): "
            f"use at least {math.floor(1000 * last) + 1} steps or the schedule 'linear'"
        )
    return Betas(tuple(torch.linspace(first * scale, last * scale, steps, dtype=torch.float64).tolist()))


def cosine_betas(steps: int = 1000, largest: float = 0.999) -> Betas:
    """The cosine schedule as a list of betas, capped below 1 (Nichol & Dhariwal 2021, equation 17)."""
    if steps < 1:
        raise ConfigError(f"steps must be at least 1, not {steps}")
    grid = torch.linspace(0, 1, steps + 1, dtype=torch.float64)
    alpha_bar = CosineVP().level(grid).alpha.square()
    betas = 1 - alpha_bar[1:] / alpha_bar[:-1]
    return Betas(tuple(betas.clamp(max=largest).tolist()))


@dataclass(frozen=True)
class LinearBetas(VariancePreserving):
    """DDPM's schedule of `steps` linearly rising betas, see `linear_betas`."""

    steps: int = 1000
    first: float = 1e-4
    last: float = 0.02

    def __post_init__(self) -> None:
        _ = self.table  # checks all three

    @cached_property
    def table(self) -> Betas:
        """The list itself."""
        return linear_betas(self.steps, self.first, self.last)

    @property
    def t_min(self) -> float:
        """The end of the first step."""
        return self.table.t_min

    def log_alpha(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """Look the list up."""
        return self.table.log_alpha(t)


@dataclass(frozen=True)
class ConstantAlpha(VariancePreserving):
    """x_t = sqrt(alpha)·x_{t−1} + sqrt(1 − alpha)·z at every step, so alpha_T² = alpha^T.

    alpha: one step's share of variance kept, in (0, 1); steps: T.
    """

    alpha: float = 0.99
    steps: int = 1000

    def __post_init__(self) -> None:
        if not 0 < self.alpha < 1 or self.steps < 1:
            raise ConfigError(f"a constant schedule needs 0 < alpha < 1 and steps >= 1, not {self}")

    @property
    def t_min(self) -> float:
        """The end of the first step."""
        return 1 / self.steps

    def log_alpha(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """Return ½ t T log(alpha) and its slope."""
        slope = torch.full_like(t, 0.5 * self.steps * math.log(self.alpha))
        return t * slope, slope


@dataclass(frozen=True)
class CosineVP:
    """alpha(t)² = f(t)/f(0), f(t) = cos²(½π (t + s)/(1 + s)) (Nichol & Dhariwal 2021, equation 17).

    It reaches alpha = 0 exactly at t = 1. offset: their s, which keeps the first steps from being too small.
    """

    offset: float = 0.008
    t_min = 1e-3
    prior_std = 1.0

    def __post_init__(self) -> None:
        if self.offset < 0:
            raise ConfigError(f"the cosine schedule's offset must not be negative, not {self.offset}")

    def level(self, t: Tensor | float) -> Level:
        """Return the level at `t` in [0, 1]: () or (B,)."""
        t, s = as_time(t), self.offset
        speed = 0.5 * math.pi / (1 + s)
        start = speed * s
        # cos(½π − u) = sin(u) is exactly 0 at t = 1, and sin² − sin² factors without cancellation.
        alpha = (speed * (1 - t)).sin() / math.cos(start)
        sigma = ((speed * t).sin() * (speed * t + 2 * start).sin()).sqrt() / math.cos(start)
        d_alpha = -speed * (speed * (1 - t)).cos() / math.cos(start)
        return Level(t, alpha, sigma, d_alpha, -alpha * d_alpha / sigma)

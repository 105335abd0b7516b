"""Training densities: at which noise levels a network is trained, and how often.

Draws are stratified: of n draws, exactly one falls in each n-th of the distribution (Kingma et al. 2021,
appendix I.1 use the same idea), which lowers the variance of the loss and changes nothing else.
"""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from sfumato.diffusion.schedules import Schedule, time_of_log_snr
from sfumato.errors import ConfigError


class TimeDensity(Protocol):
    """A distribution of training times."""

    def draw(self, n: int, schedule: Schedule, generator: torch.Generator) -> Tensor:
        """Draw `n` times in [t_min, 1] as float64: (n,)."""
        ...


def stratified(n: int, generator: torch.Generator) -> Tensor:
    """Draw `n` uniform numbers in (0, 1), one in each n-th, as float64: (n,)."""
    jitter = torch.rand(n, generator=generator, dtype=torch.float64)
    return ((torch.arange(n) + jitter) / n).clamp(1e-9, 1 - 1e-9)


@dataclass(frozen=True)
class Uniform:
    """Every time alike (Ho et al. 2020, algorithm 1)."""

    def draw(self, n: int, schedule: Schedule, generator: torch.Generator) -> Tensor:
        """Draw uniformly from [t_min, 1]."""
        return schedule.t_min + (1 - schedule.t_min) * stratified(n, generator)


@dataclass(frozen=True)
class LogNormal:
    """log(sigma/alpha) ~ N(mean, std²) (Karras et al. 2022, table 1): most work at middling noise."""

    mean: float = -1.2
    std: float = 1.2

    def __post_init__(self) -> None:
        if not self.std > 0:
            raise ConfigError(f"std must be above 0, not {self.std}")

    def draw(self, n: int, schedule: Schedule, generator: torch.Generator) -> Tensor:
        """Draw the ratio of noise to signal and return its times."""
        log_ratio = self.mean + self.std * torch.special.ndtri(stratified(n, generator))
        return time_of_log_snr(schedule, -2 * log_ratio).clamp(schedule.t_min, 1)


@dataclass(frozen=True)
class LogitNormal:
    """log(t/(1 − t)) ~ N(mean, std²) (Esser et al. 2024, equation 19), made for rectified flow."""

    mean: float = 0.0
    std: float = 1.0

    def __post_init__(self) -> None:
        if not self.std > 0:
            raise ConfigError(f"std must be above 0, not {self.std}")

    def draw(self, n: int, schedule: Schedule, generator: torch.Generator) -> Tensor:
        """Draw the logit of the time."""
        logit = self.mean + self.std * torch.special.ndtri(stratified(n, generator))
        return logit.sigmoid().clamp(schedule.t_min, 1)

"""Training densities: at which noise levels a network is trained, and how often.

Draws are stratified: of n draws, exactly one falls in each n-th of the distribution (Kingma et al. 2021,
appendix I.1 use the same idea), which lowers the variance of the loss and changes nothing else.
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

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


def _step_ends(steps: int) -> Tensor:
    return torch.arange(1, steps + 1, dtype=torch.float64) / steps


def _at_least_one(steps: int) -> None:
    if steps < 1:
        raise ConfigError(f"a chain needs at least 1 step, not {steps}")


@runtime_checkable
class StepDensity(TimeDensity, Protocol):
    """A distribution over the ends i/T of the T steps of a chain, whose probabilities are known."""

    @property
    def steps(self) -> int:
        """The number of steps, T."""
        ...

    def probabilities(self, schedule: Schedule) -> Tensor:
        """Return how likely each step is, (T,) that sum to 1; entry i − 1 is step i's."""
        ...


@dataclass(frozen=True)
class Steps:
    """Every step of a chain alike: t = i/T, i uniform on 1 … T (Ho et al. 2020, algorithm 1)."""

    steps: int = 1000

    def __post_init__(self) -> None:
        _at_least_one(self.steps)

    def probabilities(self, schedule: Schedule) -> Tensor:
        """Return 1/T for each."""
        return torch.full((self.steps,), 1 / self.steps, dtype=torch.float64)

    def draw(self, n: int, schedule: Schedule, generator: torch.Generator) -> Tensor:
        """Draw the ends of `n` steps."""
        return _draw_steps(self, n, schedule, generator)


@dataclass(frozen=True)
class ImportanceSteps:
    """Steps in proportion to what they are expected to add to the variational bound.

    The bound's terms span orders of magnitude, so a uniform step makes a noisy estimate of their sum
    (Nichol & Dhariwal 2021, section 3.3, who keep a history of losses for it). For Gaussian data of
    variance sigma_data² the terms are known,

        ½ (SNR_s − SNR_t)·sigma_data²·sigma_t²/(alpha_t²·sigma_data² + sigma_t²)   nats a dimension,

    and need no history: a resumed run draws what an uninterrupted one does. A tenth is drawn uniformly, so
    that no weight 1/p exceeds 10·T. sigma_data: as everywhere.
    """

    steps: int = 1000
    sigma_data: float = 0.5

    def __post_init__(self) -> None:
        _at_least_one(self.steps)

    def probabilities(self, schedule: Schedule) -> Tensor:
        """Return the mixture of the expected terms and the uniform density."""
        ends = _step_ends(self.steps)
        # The first step's term is the decoder's; it stands in for half a step, which has a finite ratio.
        before = schedule.level((ends - 1 / self.steps).clamp(min=0.5 / self.steps))
        level = schedule.level(ends)
        variance = self.sigma_data**2
        left = variance * level.sigma.square() / (level.alpha.square() * variance + level.sigma.square())
        expected = (before.snr - level.snr) * left
        return 0.9 * expected / expected.sum() + 0.1 / self.steps

    def draw(self, n: int, schedule: Schedule, generator: torch.Generator) -> Tensor:
        """Draw the ends of `n` steps."""
        return _draw_steps(self, n, schedule, generator)


def _draw_steps(density: StepDensity, n: int, schedule: Schedule, generator: torch.Generator) -> Tensor:
    """Draw by the inverse of the cumulative probability, one draw in each n-th of it."""
    cumulative = density.probabilities(schedule).cumsum(0)
    index = torch.searchsorted(cumulative, stratified(n, generator)).clamp(max=density.steps - 1)
    return _step_ends(density.steps)[index]

"""Grids in the ratio of noise to signal, sigma/alpha, which is what makes a step long or short.

    log-SNR   log(sigma/alpha) in equal steps
    rho       (sigma/alpha)^(1/rho) in equal steps; rho → ∞ is log-SNR

Both start at t = 1, ask last at the cleanest level of the schedule, and go from there to 0 in one step.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from sfumato.diffusion.grids.base import at_least_one, down_to_zero
from sfumato.diffusion.schedules import Schedule, cleanest_asked, time_of_log_snr
from sfumato.errors import ConfigError

NOISIEST_RATIO = 1e3
"""Grids in sigma/alpha treat a level beyond it, such as alpha = 0, as this one."""


def noisiest_log_ratio(schedule: Schedule) -> float:
    """Return log(sigma/alpha) at t = 1, or of `NOISIEST_RATIO` if that is less."""
    level = schedule.level(1.0)
    return float((level.sigma / level.alpha).clamp(max=NOISIEST_RATIO).log())


def cleanest_log_ratio(schedule: Schedule) -> float:
    """Return log(sigma/alpha) at the cleanest level asked about."""
    level = schedule.level(cleanest_asked(schedule))
    return float((level.sigma / level.alpha).log())


def times_of_log_ratios(schedule: Schedule, log_ratios: Tensor) -> Tensor:
    """Return the times of falling log ratios: (K,), the first of them taken as t = 1, and 0: (K + 1,).

    Raises ConfigError where there are two of them but one level, as on a chain of one step.
    """
    if len(log_ratios) > 1 and schedule.t_min >= 1:
        raise ConfigError(
            f"{type(schedule).__name__} has one level only, so no {len(log_ratios)} steps can be placed by "
            "noise level: use 1 step, or the grid 'uniform'"
        )
    times = time_of_log_snr(schedule, -2 * log_ratios)
    times[0] = 1.0
    return down_to_zero(times)


def _shares(steps: int) -> Tensor:
    at_least_one(steps)
    return torch.linspace(0, 1, steps, dtype=torch.float64)


@dataclass(frozen=True)
class LogSNRGrid:
    """Equal steps of log(sigma/alpha), from pure noise to t_min, then 0 (Lu et al. 2022, section 3.4)."""

    def times(self, steps: int, schedule: Schedule) -> Tensor:
        """Return steps + 1 times, the last step from t_min to 0."""
        first, last = noisiest_log_ratio(schedule), cleanest_log_ratio(schedule)
        return times_of_log_ratios(schedule, first + _shares(steps) * (last - first))


@dataclass(frozen=True)
class RhoGrid:
    """Equal steps of (sigma/alpha)^(1/rho), then 0 (Karras et al. 2022, equation 5).

    ratio_min: the cleanest ratio visited; the schedule's own at t_min where that is larger.
    """

    rho: float = 7.0
    ratio_min: float = 0.002

    def __post_init__(self) -> None:
        if not self.rho > 0 or not self.ratio_min > 0:
            raise ConfigError(f"rho and ratio_min must be above 0, not {self.rho} and {self.ratio_min}")

    def times(self, steps: int, schedule: Schedule) -> Tensor:
        """Return steps + 1 times, the last step from the cleanest ratio to 0."""
        first = math.exp(noisiest_log_ratio(schedule) / self.rho)
        last_log = max(math.log(self.ratio_min), cleanest_log_ratio(schedule))
        last = math.exp(last_log / self.rho)
        return times_of_log_ratios(schedule, self.rho * (first + _shares(steps) * (last - first)).log())

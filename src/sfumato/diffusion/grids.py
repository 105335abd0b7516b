"""Sampling grids: the times a sampler visits, from pure noise down to data.

Every grid starts at t = 1, the noisiest level, ends at t = 0, and falls strictly in between. A network is
asked at every time but the last.
"""

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from sfumato.diffusion.schedules import Schedule, time_of_log_snr
from sfumato.errors import ConfigError

NOISIEST_RATIO = 1e3
"""Grids in sigma/alpha treat a level beyond it, such as alpha = 0, as this one."""


class Grid(Protocol):
    """A rule that places the times of a sampler."""

    def times(self, steps: int, schedule: Schedule) -> Tensor:
        """Return steps + 1 falling times from 1 to 0 as float64."""
        ...


def check_grid(times: Tensor) -> Tensor:
    """Return `times` if they fall strictly within [0, 1]; raise ConfigError otherwise."""
    if len(times) < 2 or not bool((times[1:] < times[:-1]).all()):
        raise ConfigError(f"the times of a sampler must fall strictly, not {times.tolist()}")
    if float(times[0]) > 1 or float(times[-1]) < 0:
        raise ConfigError(f"the times of a sampler must lie between 0 and 1, not {times.tolist()}")
    return times


def _at_least_one(steps: int) -> None:
    if steps < 1:
        raise ConfigError(f"a sampler needs at least 1 step, not {steps}")


def _largest_log_ratio(schedule: Schedule) -> Tensor:
    ratio = schedule.level(1.0)
    return (ratio.sigma / ratio.alpha).clamp(max=NOISIEST_RATIO).log()


def _down_to_clean(schedule: Schedule, log_ratios: Tensor) -> Tensor:
    times = time_of_log_snr(schedule, -2 * log_ratios)
    times[0] = 1.0
    return check_grid(torch.cat([times, torch.zeros(1, dtype=times.dtype)]))


def _cleanest_log_ratio(schedule: Schedule) -> Tensor:
    # A geometric schedule's t_min is 0, where sampling ends: the last question is asked just before.
    level = schedule.level(max(schedule.t_min, 1e-3) if schedule.t_min == 0 else schedule.t_min)
    return (level.sigma / level.alpha).log()


@dataclass(frozen=True)
class UniformGrid:
    """Equal steps of time: 1, 1 − 1/K, …, 0."""

    def times(self, steps: int, schedule: Schedule) -> Tensor:
        """Return steps + 1 equally spaced times."""
        _at_least_one(steps)
        return torch.linspace(1, 0, steps + 1, dtype=torch.float64)


@dataclass(frozen=True)
class LogSNRGrid:
    """Equal steps of log(sigma/alpha), from pure noise to t_min, then 0 (Lu et al. 2022, section 3.4)."""

    def times(self, steps: int, schedule: Schedule) -> Tensor:
        """Return steps + 1 times, the last step from t_min to 0."""
        _at_least_one(steps)
        share = torch.linspace(0, 1, steps, dtype=torch.float64)
        first, last = _largest_log_ratio(schedule), _cleanest_log_ratio(schedule)
        return _down_to_clean(schedule, first + share * (last - first))


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
        _at_least_one(steps)
        share = torch.linspace(0, 1, steps, dtype=torch.float64)
        first = (_largest_log_ratio(schedule) / self.rho).exp()
        last_log = max(math.log(self.ratio_min), float(_cleanest_log_ratio(schedule)))
        last = math.exp(last_log / self.rho)
        return _down_to_clean(schedule, self.rho * (first + share * (last - first)).log())

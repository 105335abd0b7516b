"""What every schedule offers: a level for each time, and the time of a level.

A schedule is a map t in [0, 1] -> Level. It may touch the ends (alpha = 0 at t = 1, sigma = 0 at t = 0);
`t_min` is the cleanest time that a network is trained at, so every ratio stays finite there; only grids that
place their steps in time, and not in noise, may come between it and the clean end.
"""

from typing import Protocol

import torch
from torch import Tensor

from sfumato.diffusion.level import Level, as_time

JUST_BEFORE = 1e-3
"""The cleanest time that is asked about on a schedule whose t_min is 0, where sampling ends."""


class Schedule(Protocol):
    """A map from time to noise level, computed, never state of a model."""

    @property
    def t_min(self) -> float:
        """The cleanest time at which a network is trained, in [0, 1)."""
        ...

    @property
    def prior_std(self) -> float:
        """The standard deviation of pure noise, from which sampling starts."""
        ...

    def level(self, t: Tensor | float) -> Level:
        """Return the level at `t` in [0, 1]: () or (B,)."""
        ...


def cleanest_asked(schedule: Schedule) -> float:
    """Return the cleanest time that sampling asks about, in (0, 1): t_min, or just before the end at 0."""
    return schedule.t_min or JUST_BEFORE


def time_of_log_snr(schedule: Schedule, log_snr: Tensor) -> Tensor:
    """Return the t in [0, 1] at which `schedule` has this log signal-to-noise ratio, by bisection.

    The ratio falls strictly with time, so halving [0, 1] 60 times finds it to float64's precision; a ratio
    beyond the schedule's ends gives the end.
    """
    wanted = as_time(log_snr)
    low, high = torch.zeros_like(wanted), torch.ones_like(wanted)
    for _ in range(60):
        middle = (low + high) / 2
        cleaner = schedule.level(middle).log_snr > wanted
        low, high = torch.where(cleaner, middle, low), torch.where(cleaner, high, middle)
    return (low + high) / 2


def signal_left(schedule: Schedule, sigma_data: float = 1.0) -> float:
    """Return the share of the noisiest state's deviation that is signal, in [0, 1]: it should be pure noise.

    alpha·sigma_data/sqrt(alpha²·sigma_data² + sigma²) at t = 1; sigma_data: the data's standard deviation.
    """
    level = schedule.level(1.0)
    signal = level.alpha * sigma_data
    return float(signal / torch.hypot(signal, level.sigma))

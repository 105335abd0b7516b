"""Sampling grids: the times a sampler visits, from noise down to data.

    1 ≥ t_0 > t_1 > … > t_K = 0

A network is asked at every time but the last. A grid starts at t = 1, the noisiest level, unless its own
docstring says that it does not.
"""

from typing import Protocol

import torch
from torch import Tensor

from sfumato.diffusion.remembering import kept
from sfumato.diffusion.schedules import Schedule
from sfumato.errors import ConfigError


class Grid(Protocol):
    """A rule that places the times of a sampler."""

    def times(self, steps: int, schedule: Schedule) -> Tensor:
        """Return steps + 1 falling times down to 0 as float64."""
        ...


@kept
def times_of(grid: Grid, steps: int, schedule: Schedule) -> Tensor:
    """Return `grid.times(steps, schedule)`; where it has to be solved for, that is done once."""
    return grid.times(steps, schedule)


def check_grid(times: Tensor) -> Tensor:
    """Return `times` if they fall strictly within [0, 1]; raise ConfigError otherwise."""
    if len(times) < 2 or not bool((times[1:] < times[:-1]).all()):
        raise ConfigError(f"the times of a sampler must fall strictly, not {times.tolist()}")
    if float(times[0]) > 1 or float(times[-1]) < 0:
        raise ConfigError(f"the times of a sampler must lie between 0 and 1, not {times.tolist()}")
    return times


def at_least_one(steps: int) -> None:
    """Refuse a number of steps below 1."""
    if steps < 1:
        raise ConfigError(f"a sampler needs at least 1 step, not {steps}")


def down_to_zero(times: Tensor) -> Tensor:
    """Return `times`: (K,), with the clean end after them: (K + 1,); raise ConfigError unless they fall."""
    return check_grid(torch.cat([times, torch.zeros(1, dtype=times.dtype)]))

"""A grid that was found, not derived: its times are placed for one model, sampler and number of steps.

`sfumato.diffusion.fitting` finds them; this piece only holds them.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from sfumato.diffusion.grids.base import check_grid
from sfumato.diffusion.schedules import Schedule
from sfumato.errors import ConfigError


@dataclass(frozen=True)
class FittedGrid:
    """The K + 1 times `at`, from 1 to 0.

    Raises ConfigError unless they fall strictly from 1 to 0, and when asked for another number of steps.
    """

    at: tuple[float, ...]

    def __post_init__(self) -> None:
        times = check_grid(torch.tensor(self.at, dtype=torch.float64))
        if (float(times[0]), float(times[-1])) != (1.0, 0.0):
            raise ConfigError(f"a fitted grid goes from 1 to 0, not from {times[0]:g} to {times[-1]:g}")

    def times(self, steps: int, schedule: Schedule) -> Tensor:
        """Return the times themselves, if they are `steps` steps."""
        if steps != len(self.at) - 1:
            raise ConfigError(
                f"this grid was fitted for {len(self.at) - 1} steps, not {steps}: "
                f"'sfumato fit-grid RUN --steps {steps}' fits one"
            )
        return torch.tensor(self.at, dtype=torch.float64)

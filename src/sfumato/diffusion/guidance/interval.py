"""Where guidance acts: an interval of times, ends included (Kynkäänniemi et al. 2024, section 3)."""

from sfumato.diffusion.denoiser import Denoiser
from sfumato.diffusion.schedules import Schedule
from sfumato.errors import ConfigError

Interval = tuple[float, float]
"""(from, to) in time, 0 <= from < to <= 1."""

ALWAYS: Interval = (0.0, 1.0)


class Intermittent:
    """What guides share that act within an `interval` and leave their `denoiser` alone outside it.

    Raises ConfigError for an interval that is none.
    """

    denoiser: Denoiser
    interval: Interval

    def __post_init__(self) -> None:
        low, high = self.interval
        if not 0 <= low < high <= 1:
            raise ConfigError(f"a guidance interval needs 0 <= from < to <= 1, not {self.interval}")

    @property
    def schedule(self) -> Schedule:
        """The wrapped denoiser's schedule."""
        return self.denoiser.schedule

    def within(self, t: float) -> bool:
        """Return whether `t` lies in the interval."""
        return self.interval[0] <= t <= self.interval[1]

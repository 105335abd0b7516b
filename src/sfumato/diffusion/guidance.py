"""Guidance: a denoiser that leans towards its condition; it wraps a denoiser and is one.

Classifier-free guidance (Ho & Salimans 2022, equation 6, in the lectures' convention):

    eps(x, t) + w·(eps(x, t, c) − eps(x, t))

w = 0 ignores the condition, w = 1 is the conditional model itself ("off"), w > 1 goes beyond it. Because a
prediction is linear in (x0, eps) and x_t is the same in both, guiding eps guides every other space alike.
"""

from dataclasses import dataclass, replace

from torch import Tensor

from sfumato.condition import Condition
from sfumato.diffusion.denoiser import Denoiser
from sfumato.diffusion.prediction import Estimate
from sfumato.diffusion.schedules import Schedule
from sfumato.errors import ConfigError

OFF = 1.0
"""The weight at which guidance is the conditional model."""


@dataclass(frozen=True)
class ClassifierFree:
    """Classifier-free guidance of weight `weight`, within an interval of times.

    interval: (from, to) in time; outside it the conditional model stands alone (Kynkäänniemi et al. 2024).
    """

    denoiser: Denoiser
    weight: float
    interval: tuple[float, float] = (0.0, 1.0)

    def __post_init__(self) -> None:
        low, high = self.interval
        if not 0 <= low < high <= 1:
            raise ConfigError(f"a guidance interval needs 0 <= from < to <= 1, not {self.interval}")

    @property
    def schedule(self) -> Schedule:
        """The wrapped denoiser's schedule."""
        return self.denoiser.schedule

    def _acts(self, t: float) -> bool:
        return self.weight != OFF and self.interval[0] <= t <= self.interval[1]

    def estimate(self, x_t: Tensor, t: Tensor, condition: Condition | None = None) -> Estimate:
        """Ask with and without the condition; `t` must be one time for the whole batch."""
        conditional = self.denoiser.estimate(x_t, t, condition)
        if condition is None or not self._acts(float(t)):
            return conditional
        free = self.denoiser.estimate(x_t, t, condition.drop_all())
        return replace(
            conditional,
            x0=free.x0 + self.weight * (conditional.x0 - free.x0),
            eps=free.eps + self.weight * (conditional.eps - free.eps),
        )

    def evaluations(self, t: float, condition: Condition | None = None) -> int:
        """Return twice the wrapped denoiser's count where guidance acts."""
        twice = condition is not None and self._acts(t)
        return self.denoiser.evaluations(t, condition) * (2 if twice else 1)

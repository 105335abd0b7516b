"""Classifier-free guidance: lean away from what the model believes without its condition.

    eps(x, t) + w·(eps(x, t, c) − eps(x, t))     (Ho & Salimans 2022, equation 6, in the lectures' convention)

w = 0 ignores the condition, w = 1 is the conditional model itself ("off"), w > 1 goes beyond it. Because a
prediction is linear in (x0, eps) and x_t is the same in both, guiding eps guides every other space alike.
Where the condition says what to stand in its stead (`Condition.instead`), a negative prompt, the model is
led away from that.
"""

from dataclasses import dataclass

from torch import Tensor

from sfumato.condition import Condition
from sfumato.diffusion.denoiser import Denoiser, ask_each
from sfumato.diffusion.guidance.interval import ALWAYS, Intermittent, Interval
from sfumato.diffusion.prediction import Estimate

OFF = 1.0
"""The weight at which guidance is the conditional model."""


def extrapolate(origin: Estimate, aim: Estimate, weight: float) -> Estimate:
    """Return origin + weight·(aim − origin) of two estimates of the same x_t; all else is `aim`'s."""
    return Estimate.of(lambda a, b: origin.mix(a, b).lerp_(aim.mix(a, b), weight), aim.variance_fraction)


@dataclass(frozen=True)
class ClassifierFree(Intermittent):
    """Classifier-free guidance of weight `weight`, within an interval of times.

    interval: (from, to) in time; outside it the conditional model stands alone (Kynkäänniemi et al. 2024).
    """

    denoiser: Denoiser
    weight: float
    interval: Interval = ALWAYS

    def _acts(self, t: float, condition: Condition | None) -> bool:
        return condition is not None and self.weight != OFF and self.within(t)

    def estimate(self, x_t: Tensor, t: Tensor, condition: Condition | None = None) -> Estimate:
        """Ask with and without the condition in one batch; `t` must be one time for all of it."""
        if condition is None or not self._acts(float(t), condition):
            return self.denoiser.estimate(x_t, t, condition)
        away = condition.without(condition.names)
        if self.weight == 0:
            return self.denoiser.estimate(x_t, t, away)
        origin, aim = ask_each(self.denoiser, x_t, t, (away, condition))
        return extrapolate(origin, aim, self.weight)

    def evaluations(self, t: float, condition: Condition | None = None) -> int:
        """Return twice the wrapped denoiser's count where both of its answers are needed."""
        both = self.weight != 0 and self._acts(t, condition)
        return self.denoiser.evaluations(t, condition) * (2 if both else 1)

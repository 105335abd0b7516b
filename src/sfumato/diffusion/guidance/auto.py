"""Auto-guidance: lean away from a weaker model of the same thing.

    D(x, t) = D_weaker(x, t) + w·(D_strong(x, t) − D_weaker(x, t))     (Karras et al. 2024b, equation 3)

A smaller or less trained model errs where the strong one does, only more, so the difference points to better
pictures and, unlike the difference to an unconditional model, does not push towards the class's centre. It is
the same extrapolation as classifier-free guidance, whose weaker model is the one that is not told the class.
"""

from dataclasses import dataclass

from torch import Tensor

from sfumato.condition import Condition
from sfumato.diffusion.denoiser import Denoiser
from sfumato.diffusion.guidance.classifier_free import OFF, extrapolate
from sfumato.diffusion.prediction import Estimate
from sfumato.diffusion.schedules import Schedule
from sfumato.errors import ConfigError


@dataclass(frozen=True)
class AutoGuided:
    """`denoiser`, the strong model, led away from `weaker` with `weight`: 1 is the strong model alone.

    Both are asked about the same x_t under the same condition. Raises ConfigError where their schedules
    differ: one time would mean two levels of noise.
    """

    denoiser: Denoiser
    weaker: Denoiser
    weight: float

    def __post_init__(self) -> None:
        if self.denoiser.schedule != self.weaker.schedule:
            raise ConfigError(
                f"auto-guidance needs two models of one schedule, not {self.denoiser.schedule} and "
                f"{self.weaker.schedule}: choose a weaker model that was trained as the strong one was."
            )

    @property
    def schedule(self) -> Schedule:
        """The schedule of both."""
        return self.denoiser.schedule

    def estimate(self, x_t: Tensor, t: Tensor, condition: Condition | None = None) -> Estimate:
        """Ask both and extrapolate; with weight 1 the weaker model is not asked."""
        strong = self.denoiser.estimate(x_t, t, condition)
        if self.weight == OFF:
            return strong
        return extrapolate(self.weaker.estimate(x_t, t, condition), strong, self.weight)

    def evaluations(self, t: float, condition: Condition | None = None) -> int:
        """Return the sum of both counts, of which the weaker is 0 with weight 1."""
        more = 0 if self.weight == OFF else self.weaker.evaluations(t, condition)
        return self.denoiser.evaluations(t, condition) + more

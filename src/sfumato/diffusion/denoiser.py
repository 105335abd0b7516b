"""A denoiser turns a noisy sample into an estimate of the clean one and of the noise.

    network × schedule × prediction  ->  (x̂0, ε̂)

The network sees c_in·x_t, which has unit variance at every level (Karras et al. 2022, equation 7), and the
level as ¼·log(sigma/alpha) (their table 1). Guidance, clipping and the exact denoiser of a mixture have the
same one method, so each can stand where another does.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from torch import Tensor

from sfumato.condition import Condition
from sfumato.diffusion.level import Level, expand
from sfumato.diffusion.prediction import Estimate, Prediction, check, solve
from sfumato.diffusion.schedules import Schedule

Network = Callable[[Tensor, Tensor, Condition | None], Tensor]
"""A network of (c_in·x_t: (B, ...), level: (B,), condition) with an output of the shape of x_t."""

LARGEST_LOG_RATIO = 12.0
"""Levels beyond e^±12 look alike to the network; the ends alpha = 0 and sigma = 0 stay finite."""


class Denoiser(Protocol):
    """Anything that can estimate (x0, eps) from a noisy sample."""

    @property
    def schedule(self) -> Schedule:
        """The schedule whose times it understands."""
        ...

    def estimate(self, x_t: Tensor, t: Tensor, condition: Condition | None = None) -> Estimate:
        """Estimate (x0, eps) of `x_t`: (B, ...) at `t`: () or (B,) in (0, 1]."""
        ...

    def evaluations(self, t: float, condition: Condition | None = None) -> int:
        """Return how often a network runs for one estimate at `t` under `condition`."""
        ...


def level_input(level: Level) -> Tensor:
    """Return ¼·log(sigma/alpha), the level as a network sees it."""
    return (-0.5 * level.log_snr).clamp(-LARGEST_LOG_RATIO, LARGEST_LOG_RATIO) / 4


@dataclass(frozen=True)
class NetworkDenoiser:
    """A network and the meaning of its output.

    sigma_data: the standard deviation of the data as the model sees it.
    Raises ConfigError where the prediction does not determine (x0, eps) on this schedule.
    """

    network: Network
    schedule: Schedule
    prediction: Prediction
    sigma_data: float = 1.0

    def __post_init__(self) -> None:
        check(self.prediction, self.schedule)

    def output(self, x_t: Tensor, t: Tensor, condition: Condition | None = None) -> Tensor:
        """Return the network's output at `x_t`: (B, ...), `t`: () or (B,), in the precision of x_t."""
        level = self.schedule.level(t)
        scale = ((level.alpha * self.sigma_data).square() + level.sigma.square()).rsqrt()
        noise_level = level_input(level).to(x_t.device, x_t.dtype).expand(len(x_t))
        return self.network(expand(scale, x_t) * x_t, noise_level, condition).to(x_t.dtype)

    def estimate(self, x_t: Tensor, t: Tensor, condition: Condition | None = None) -> Estimate:
        """Run the network once and solve its row."""
        level = self.schedule.level(t)
        return solve(self.prediction.row(level), level, x_t, self.output(x_t, t, condition))

    def evaluations(self, t: float, condition: Condition | None = None) -> int:
        """Return 1."""
        return 1


@dataclass(frozen=True)
class Clipped:
    """Static thresholding: the estimate of a bounded picture stays within its bounds.

    The noise is recomputed, so that (x0, eps) still explain x_t (Ho et al. 2020's released code does so).
    bounds: the smallest and largest value of the data as the model sees it.
    """

    denoiser: Denoiser
    bounds: tuple[float, float]

    @property
    def schedule(self) -> Schedule:
        """The wrapped denoiser's schedule."""
        return self.denoiser.schedule

    def estimate(self, x_t: Tensor, t: Tensor, condition: Condition | None = None) -> Estimate:
        """Clip the wrapped denoiser's x0."""
        estimate = self.denoiser.estimate(x_t, t, condition)
        x0 = estimate.x0.clamp(*self.bounds)
        level = self.schedule.level(t)
        # eps moves by −alpha/sigma times what x0 moved: exact where nothing was clipped.
        shift = expand(level.alpha / level.sigma, x0) * (estimate.x0 - x0)
        return replace(estimate, x0=x0, eps=estimate.eps + shift)

    def evaluations(self, t: float, condition: Condition | None = None) -> int:
        """Return the wrapped denoiser's count."""
        return self.denoiser.evaluations(t, condition)

"""Thresholding: the estimate of bounded data is kept within its bounds.

With guidance or a rough network the estimate of x0 may leave the range that pictures have, and each step then
starts from somewhere no picture leads to. Thresholding is for bounded data only: a latent or a point in the
plane has no range to be kept in, and is refused. The noise is recomputed: (x0, eps) still explain x_t.
"""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from sfumato.condition import Condition
from sfumato.diffusion.correction import with_x0
from sfumato.diffusion.denoiser import Denoiser
from sfumato.diffusion.level import expand
from sfumato.diffusion.prediction import Estimate
from sfumato.diffusion.remembering import level_at
from sfumato.diffusion.schedules import Schedule
from sfumato.errors import ConfigError

Bounds = tuple[float, float]
"""The smallest and largest value of the data as the model sees it."""


class Threshold(Protocol):
    """A rule that keeps an estimate within bounds."""

    def clip(self, x0: Tensor, bounds: Bounds) -> Tensor:
        """Return `x0`: (B, ...), within `bounds`."""
        ...


@dataclass(frozen=True)
class Static:
    """Values outside are moved to the nearest bound (Ho et al. 2020's released code does so)."""

    def clip(self, x0: Tensor, bounds: Bounds) -> Tensor:
        """Clamp."""
        return x0.clamp(*bounds)


@dataclass(frozen=True)
class Dynamic:
    """A picture that leaves its bounds is shrunk towards their middle (Saharia et al. 2022, section 2.3).

    share: the share of a picture's values, in (0, 1], that decides by how much: where their largest
    distance from the middle exceeds the bounds', everything is clipped to that distance and divided by it.
    """

    share: float = 0.995

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise ConfigError(f"dynamic thresholding needs a share above 0 and up to 1, not {self.share}")

    def clip(self, x0: Tensor, bounds: Bounds) -> Tensor:
        """Clip to the share's distance and scale that distance to the bounds', picture by picture."""
        middle, reach = (bounds[0] + bounds[1]) / 2, (bounds[1] - bounds[0]) / 2
        offset = x0 - middle
        distance = expand(offset.abs().flatten(1).quantile(self.share, dim=1), x0)
        # To scale and then clip is to clip at the distance and then scale; what fits is left as it is.
        return torch.where(distance > reach, middle + offset * (reach / distance), x0).clamp(*bounds)


@dataclass(frozen=True)
class Thresholded:
    """A denoiser whose estimate a threshold keeps within bounds.

    bounds: None raises ConfigError, because there is nothing to keep unbounded data within.
    """

    denoiser: Denoiser
    threshold: Threshold
    bounds: Bounds | None

    def __post_init__(self) -> None:
        if self.bounds is None or not self.bounds[0] < self.bounds[1]:
            raise ConfigError(
                f"{type(self.threshold).__name__.lower()} thresholding is for bounded data such as pictures; "
                f"the bounds of this data are {self.bounds}: sample it with threshold 'none'."
            )

    @property
    def schedule(self) -> Schedule:
        """The wrapped denoiser's schedule."""
        return self.denoiser.schedule

    def estimate(self, x_t: Tensor, t: Tensor, condition: Condition | None = None) -> Estimate:
        """Threshold the wrapped denoiser's x0."""
        assert self.bounds is not None
        estimate = self.denoiser.estimate(x_t, t, condition)
        x0 = self.threshold.clip(estimate.x0, self.bounds)
        return with_x0(estimate, x0, level_at(self.schedule, t))

    def evaluations(self, t: float, condition: Condition | None = None) -> int:
        """Return the wrapped denoiser's count."""
        return self.denoiser.evaluations(t, condition)

"""The denoising loss: a weighted squared error of the estimate of x0.

    L = E over x0, t, eps of  w(t)·‖x0 − x̂0(x_t, t, c)‖²   (mean over the entries of a picture)

It is computed on the network's output o against a·x0 + b·eps, which is the same thing in the space where
nothing is divided by a small number: ‖x0 − x̂0‖² = (sigma/determinant)²·‖o − (a·x0 + b·eps)‖².
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from torch import Tensor

from sfumato.condition import Condition
from sfumato.diffusion.denoiser import NetworkDenoiser
from sfumato.diffusion.process import corrupt
from sfumato.diffusion.weighting import Weighting, space_weight
from sfumato.errors import ConfigError


class Objective(ABC):
    """What a denoiser is trained to make small: a function of what its network puts out."""

    def __call__(
        self,
        denoiser: NetworkDenoiser,
        x0: Tensor,
        eps: Tensor,
        t: Tensor,
        condition: Condition | None = None,
    ) -> Tensor:
        """Return the loss of each example: (B,); x0, eps: (B, ...), t: (B,) in (0, 1]."""
        x_t = corrupt(denoiser.schedule, x0, eps, t)
        output = self.judged(denoiser, denoiser.output(x_t, t, condition), x_t, t, condition)
        return self.of_output(denoiser, output, x0, eps, t)

    def judged(
        self, denoiser: NetworkDenoiser, output: Tensor, x_t: Tensor, t: Tensor, condition: Condition | None
    ) -> Tensor:
        """Return what the loss is taken of, the network's `output` at x_t unless said otherwise: (B, ...)."""
        return output

    @abstractmethod
    def of_output(
        self, denoiser: NetworkDenoiser, output: Tensor, x0: Tensor, eps: Tensor, t: Tensor
    ) -> Tensor:
        """Return the loss of each example when the network has put out `output` at its x_t: (B,)."""

    @abstractmethod
    def check(self, denoiser: NetworkDenoiser) -> None:
        """Raise ConfigError for a denoiser to which this objective cannot teach all it puts out."""


@dataclass(frozen=True)
class DenoisingLoss(Objective):
    """The squared error under a weighting of the noise levels."""

    weighting: Weighting

    def check(self, denoiser: NetworkDenoiser) -> None:
        """Refuse a variance, which this loss never sees."""
        if denoiser.variance.outputs > 1:
            raise ConfigError(
                "the denoising loss teaches no variance: for variance=learned use the recipe 'hybrid' or "
                "'bound', or set objective=hybrid and times=steps."
            )

    def of_output(
        self, denoiser: NetworkDenoiser, output: Tensor, x0: Tensor, eps: Tensor, t: Tensor
    ) -> Tensor:
        """Return the weighted mean of the squared error over the entries of each example: (B,)."""
        level = denoiser.schedule.level(t)
        prediction, _ = denoiser.variance.split(output)
        error = prediction - denoiser.prediction.row(level).of(x0, eps)
        weight = self.weighting.weight(level) / space_weight(denoiser.prediction, level)
        return weight.to(error) * error.square().flatten(1).mean(1)

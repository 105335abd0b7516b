"""Inpainting: part of the picture is known, the rest is made to go with it.

    x0′ = known inside the mask, x̂0 outside;   eps′ = (x_t − alpha·x0′)/sigma

It costs nothing and what is known comes out as it went in. The rest is only led by how the network reacts to
the known part in x_t, which lags behind: even an exact denoiser then samples something else than the
conditional distribution (too little of what the known part implies, see the test on a Gaussian). `Measured`
is exact there, for a few more evaluations.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from sfumato.condition import Condition
from sfumato.diffusion.correction import with_x0
from sfumato.diffusion.denoiser import Denoiser
from sfumato.diffusion.prediction import Estimate
from sfumato.diffusion.remembering import level_at
from sfumato.diffusion.schedules import Schedule
from sfumato.errors import ConfigError


@dataclass(frozen=True)
class Inpainted:
    """A denoiser that is told part of x0 (the replacement of Song et al. 2021, appendix I.2, made on x0).

    known: the values as the model sees them; mask: 1 or true where they are known, 0 or false elsewhere;
    both broadcast to (B, ...). Raises ConfigError for a mask of other values.
    """

    denoiser: Denoiser
    known: Tensor
    mask: Tensor

    def __post_init__(self) -> None:
        if not bool(((self.mask == 0) | (self.mask == 1)).all()):
            raise ConfigError("a mask is 1 where the picture is known and 0 elsewhere, nothing between")

    @property
    def schedule(self) -> Schedule:
        """The wrapped denoiser's schedule."""
        return self.denoiser.schedule

    def estimate(self, x_t: Tensor, t: Tensor, condition: Condition | None = None) -> Estimate:
        """Put what is known into the wrapped denoiser's x0."""
        estimate = self.denoiser.estimate(x_t, t, condition)
        mask = self.mask.to(x_t.device).bool()
        x0 = torch.where(mask, self.known.to(estimate.x0), estimate.x0)
        return with_x0(estimate, x0, level_at(self.schedule, t))

    def evaluations(self, t: float, condition: Condition | None = None) -> int:
        """Return the wrapped denoiser's count."""
        return self.denoiser.evaluations(t, condition)

"""Bytes: the mass of a logistic distribution in the bin of each of 256 levels.

    log p = Σ log [ σ((x + w/2 − m)/s) − σ((x − w/2 − m)/s) ],   w = 2/255

(Salimans et al. 2017, "PixelCNN++", equation 2.) The outermost bins reach to infinity, so that the levels
share the whole mass.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from sfumato.errors import ConfigError
from sfumato.families.agreements import DataFacts
from sfumato.families.variational.likelihoods.base import LEVEL, halves, uniform_like
from sfumato.randomness import Noise

LEAST_LOG_SCALE = -7.0
"""Almost all mass in one bin (Salimans et al.'s own floor); below it gradients explode."""


@dataclass(frozen=True)
class DiscretisedLogistic:
    """The mass of a logistic distribution in the bin of each byte, for pictures in [−1, 1]."""

    outputs: ClassVar[int] = 2

    def check(self, facts: DataFacts) -> None:
        """Refuse data that is no picture."""
        if facts.bounds != (-1.0, 1.0):
            raise ConfigError("a logistic decoder is for pictures of bytes: choose decoder gaussian.")

    def log_prob(self, output: Tensor, x: Tensor) -> Tensor:
        """Return the log of the bins' masses, summed: (B,).

        With a, b = (x ± w/2 − m)/s the mass is σ(a)·σ(−b)·(1 − exp(b − a)): three factors of full precision
        in both tails, of which open bins lack those of their open end.
        """
        location, scale = self._parameters(output)
        x = x.to(location)
        above, below = (x + LEVEL / 2 - location) / scale, (x - LEVEL / 2 - location) / scale
        lowest, highest = x < -1 + LEVEL / 2, x > 1 - LEVEL / 2
        zero = torch.zeros_like(x)
        inner = torch.log(-torch.expm1(-LEVEL / scale))
        log_p = (
            torch.where(highest, zero, F.logsigmoid(above))
            + torch.where(lowest, zero, F.logsigmoid(-below))
            + torch.where(lowest | highest, zero, inner)
        )
        return log_p.flatten(1).sum(1)

    def mean(self, output: Tensor) -> Tensor:
        """Return the mean of the logistic clipped to [−1, 1], within half a level of the bins' own.

        It is −1 + ∫ σ((m − x)/s) dx over [−1, 1].
        """
        location, scale = self._parameters(output)
        low, high = F.softplus((location + 1) / scale), F.softplus((location - 1) / scale)
        return (scale * (low - high) - 1).clamp(-1, 1)

    def sample(self, output: Tensor, noise: Noise) -> Tensor:
        """Draw one of the 256 levels for each value."""
        location, scale = self._parameters(output)
        drawn = location + scale * torch.logit(uniform_like(location, noise))
        return ((drawn.clamp(-1, 1) + 1) / LEVEL).round() * LEVEL - 1

    def _parameters(self, output: Tensor) -> tuple[Tensor, Tensor]:
        location, log_scale = halves(output)
        return location, log_scale.clamp(min=LEAST_LOG_SCALE).exp()

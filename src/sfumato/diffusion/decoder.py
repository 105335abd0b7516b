"""The last step of a chain: how likely the data is under the Gaussian that the first noisy state leads to.

Pictures are whole numbers, so their likelihood is a probability: the Gaussian's mass in the bin around the
value (Ho et al. 2020, equation 13),

    p(x0 | x_1) = Π ∫ from x0 − ½w to x0 + ½w of N(x; mean, std²) dx,

where the outermost bins reach to infinity. Points in the plane have a density instead.
"""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from sfumato.errors import ConfigError
from sfumato.normal import Normal


class Decoder(Protocol):
    """The likelihood of data under a Gaussian."""

    def log_prob(self, x0: Tensor, belief: Normal) -> Tensor:
        """Return log p(x0) in nats per example: (B,); x0: (B, ...)."""
        ...


@dataclass(frozen=True)
class ContinuousGaussian:
    """The density itself, for data that is not rounded."""

    def log_prob(self, x0: Tensor, belief: Normal) -> Tensor:
        """Return log N(x0; mean, std²), summed: (B,)."""
        return belief.log_prob(x0)


@dataclass(frozen=True)
class DiscretisedGaussian:
    """The mass in the bin of each value.

    width: of a bin, as the model sees the data (2/255 for bytes scaled to [−1, 1]); bounds: the smallest and
    largest value, whose bins reach to infinity.
    """

    width: float = 2 / 255
    bounds: tuple[float, float] = (-1.0, 1.0)

    def __post_init__(self) -> None:
        low, high = self.bounds
        if not 0 < self.width <= high - low:
            raise ConfigError(f"bins need a width above 0 that fits between rising bounds, not {self}")

    def log_prob(self, x0: Tensor, belief: Normal) -> Tensor:
        """Return the log of the bins' masses, summed: (B,)."""
        # A bin's mass is a difference of two nearly equal numbers: it needs the digits.
        exact = torch.float32 if x0.device.type == "mps" else torch.float64
        mean, std, value = belief.mean.to(exact), belief.std.to(exact), x0.to(exact)
        half = 0.5 * self.width
        low, high = (value - half - mean) / std, (value + half - mean) / std
        log_p = log_mass(low, high)
        log_p = torch.where(value < self.bounds[0] + half, torch.special.log_ndtr(high), log_p)
        log_p = torch.where(value > self.bounds[1] - half, torch.special.log_ndtr(-low), log_p)
        return log_p.flatten(1).sum(1).to(x0.dtype)


def log_mass(low: Tensor, high: Tensor) -> Tensor:
    """Return log(Φ(high) − Φ(low)) for low <= high, to full precision in both tails.

    In the upper tail both values of Φ round to 1, so the interval is mirrored to the lower one first. An
    interval that rounding has closed counts as the narrowest there is.
    """
    upper = low > 0
    low, high = torch.where(upper, -high, low), torch.where(upper, -low, high)
    log_low, log_high = torch.special.log_ndtr(low), torch.special.log_ndtr(high)
    narrowest = torch.finfo(low.dtype).eps
    return log_high + torch.log(-torch.expm1((log_low - log_high).clamp(max=-narrowest)))

"""How much each noise level counts in training.

A loss is a squared error in a space, and a space is a row. With x_t known, the error of x0 fixes all the
others, so every weighting is stated once, as the weight w of ‖x0 − x̂0‖²:

    the error in the space (a, b) is (determinant/sigma)²·‖x0 − x̂0‖².

min-SNR for v prediction, or the EDM weight for noise prediction, then need no table of their own.
"""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from sfumato.diffusion.level import Level
from sfumato.diffusion.prediction import Data, Noise, Prediction, V, Velocity
from sfumato.errors import ConfigError


class Weighting(Protocol):
    """The weight of each level."""

    def weight(self, level: Level) -> Tensor:
        """Return the weight of ‖x0 − x̂0‖² at `level`: () or (B,)."""
        ...


def space_weight(space: Prediction, level: Level) -> Tensor:
    """Return (determinant/sigma)²: what turns the squared error of x0 into that of `space`."""
    return (space.row(level).determinant(level) / level.sigma).square()


@dataclass(frozen=True)
class InNoise:
    """‖eps − ε̂‖², the simple loss (Ho et al. 2020, equation 14): weight SNR."""

    def weight(self, level: Level) -> Tensor:
        """Return alpha²/sigma²."""
        return space_weight(Noise(), level)


@dataclass(frozen=True)
class InData:
    """‖x0 − x̂0‖²: weight 1."""

    def weight(self, level: Level) -> Tensor:
        """Return 1."""
        return space_weight(Data(), level)


@dataclass(frozen=True)
class InV:
    """‖v − v̂‖² (Salimans & Ho 2022): weight SNR + 1 on variance preserving levels."""

    def weight(self, level: Level) -> Tensor:
        """Return ((alpha² + sigma²)/sigma)²."""
        return space_weight(V(), level)


@dataclass(frozen=True)
class InVelocity:
    """‖x′ − x̂′‖², the flow matching loss (Lipman et al. 2023, equation 9)."""

    def weight(self, level: Level) -> Tensor:
        """Return ((alpha·sigma′ − sigma·alpha′)/sigma)²."""
        return space_weight(Velocity(), level)


@dataclass(frozen=True)
class MinSNR:
    """min(SNR, gamma) (Hang et al. 2023, equation 7)."""

    gamma: float = 5.0

    def __post_init__(self) -> None:
        if not self.gamma > 0:
            raise ConfigError(f"gamma must be above 0, not {self.gamma}")

    def weight(self, level: Level) -> Tensor:
        """Return min(alpha²/sigma², gamma)."""
        return level.snr.clamp(max=self.gamma)


@dataclass(frozen=True)
class InEDM:
    """1/c_out²: an untrained network's loss is 1 at all levels (Karras et al. 2022, table 1)."""

    sigma_data: float = 0.5

    def __post_init__(self) -> None:
        if not self.sigma_data > 0:
            raise ConfigError(f"sigma_data must be above 0, not {self.sigma_data}")

    def weight(self, level: Level) -> Tensor:
        """Return (alpha²·sigma_data² + sigma²)/(sigma·sigma_data)²."""
        total = (level.alpha * self.sigma_data).square() + level.sigma.square()
        return total / (level.sigma * self.sigma_data).square()


@dataclass(frozen=True)
class Sigmoid:
    """sigmoid(bias − log SNR)·‖eps − ε̂‖² (Kingma & Gao 2023; Hoogeboom et al. 2024, section 2.2)."""

    bias: float = 0.0

    def weight(self, level: Level) -> Tensor:
        """Return SNR·sigmoid(bias − log SNR) = e^bias/(1 + e^bias·sigma²/alpha²), finite at both ends."""
        scale = torch.as_tensor(self.bias, dtype=level.alpha.dtype).exp()
        return scale * level.alpha.square() / (level.alpha.square() + scale * level.sigma.square())


@dataclass(frozen=True)
class InOutput:
    """The plain squared error of whatever the network puts out."""

    prediction: Prediction

    def weight(self, level: Level) -> Tensor:
        """Return the weight of the prediction's own space."""
        return space_weight(self.prediction, level)

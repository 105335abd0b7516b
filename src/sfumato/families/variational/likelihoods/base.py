"""What every likelihood of a decoder offers, and what they share."""

from typing import Protocol

import torch
from torch import Tensor

from sfumato.families.agreements import DataFacts
from sfumato.precision import at_least_float32
from sfumato.randomness import Noise

LEVEL = 2 / 255
"""The width of a byte's bin, for pictures scaled to [−1, 1]."""


class Likelihood(Protocol):
    """p(x | z), given what the decoder made of z.

    All methods read `output`: (B, outputs·C, H, W) for x: (B, C, H, W), or (B, outputs·D) for (B, D).
    """

    @property
    def outputs(self) -> int:
        """How many numbers the decoder puts out for each value of the data."""
        ...

    def check(self, facts: DataFacts) -> None:
        """Raise ConfigError where the data is none that this describes."""
        ...

    def log_prob(self, output: Tensor, x: Tensor) -> Tensor:
        """Return log p(x | z) in nats per example: (B,)."""
        ...

    def mean(self, output: Tensor) -> Tensor:
        """Return E[x | z] as the model sees data: (B, ...)."""
        ...

    def sample(self, output: Tensor, noise: Noise) -> Tensor:
        """Draw x from p(x | z): (B, ...)."""
        ...


def halves(output: Tensor) -> tuple[Tensor, Tensor]:
    """Return the two numbers of each value, as at least float32."""
    first, second = at_least_float32(output).chunk(2, dim=1)
    return first, second


def normal_like(x: Tensor, noise: Noise) -> Tensor:
    """Draw standard normal numbers in the shape of x, where x is."""
    return noise.normal(x.shape).to(x)


def uniform_like(x: Tensor, noise: Noise) -> Tensor:
    """Draw uniform numbers strictly between 0 and 1 in the shape of x."""
    edge = torch.finfo(torch.float32).eps / 2
    return torch.special.ndtr(normal_like(x, noise)).clamp(edge, 1 - edge)

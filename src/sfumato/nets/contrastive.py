"""The network of a contrastive encoder: features that are kept, a head and a temperature for training alone.

    x → scales down to one pixel → embedding → head → projection

The head is a perceptron of one hidden layer (Chen et al. 2020, section 2.1). The temperature is a parameter:
the log of its inverse, the scale of all similarities.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sfumato.nets.blocks import ChannelNorm
from sfumato.nets.scales import Down, Scales

LARGEST_SCALE = 100.0
"""One over the smallest temperature."""


class Features(nn.Module):
    """The network that is kept: x: (B, ...) of `shape` -> (B, outputs). widths: channels of each scale."""

    def __init__(self, shape: tuple[int, ...], widths: tuple[int, ...], outputs: int) -> None:
        super().__init__()
        self.down = Down(Scales.of(shape, len(widths)), widths)
        self.norm = ChannelNorm()
        self.head = nn.Linear(widths[-1], outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, outputs), read off the one pixel of the coarsest scale."""
        return self.head(F.silu(self.norm(self.down(x)[-1])).flatten(1))


class WithTemperature(nn.Module):
    """A network whose loss divides by a temperature that is learned. temperature: at the start."""

    def __init__(self, temperature: float) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.tensor(-math.log(temperature)))

    @property
    def scale(self) -> Tensor:
        """One over the temperature: ()."""
        return self.log_scale.clamp(max=math.log(LARGEST_SCALE)).exp()

    @torch.no_grad()
    def cap(self) -> None:
        """Take the scale back to its cap: beyond it, it would get no gradient and never return."""
        self.log_scale.clamp_(max=math.log(LARGEST_SCALE))


class ContrastiveNet(WithTemperature):
    """The network of training: x: (B, ...) -> what the loss compares: (B, projection).

    features: x -> the embedding: (B, embedding); temperature: at the start.
    """

    def __init__(self, features: nn.Module, embedding: int, projection: int, temperature: float) -> None:
        super().__init__(temperature)
        self.features = features
        self.inner, self.outer = nn.Linear(embedding, embedding), nn.Linear(embedding, projection)

    def forward(self, x: Tensor) -> Tensor:
        """Return the projection of the embedding of x: (B, projection)."""
        return self.project(self.features(x))

    def project(self, embedding: Tensor) -> Tensor:
        """Return what the loss compares of embeddings (B, embedding): (B, projection)."""
        return self.outer(F.silu(self.inner(F.silu(embedding))))

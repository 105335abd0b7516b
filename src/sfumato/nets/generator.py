"""Generators of an adversarial game: networks that turn a vector of noise into an example.

That of pictures starts on a coarse grid of at most 7 pixels, doubles it level by level, and unfolds the last
pixels 2×2 where the picture has 24 or more a side, so that no convolution runs on all of its pixels. The
noise and the label modulate every block besides, as styles do (Karras et al. 2019, section 2).
"""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sfumato.condition import Condition
from sfumato.nets.blocks import ChannelNorm, ResidualBlock
from sfumato.nets.embedding import LabelEmbedding
from sfumato.nets.mlp import ResidualLayer
from sfumato.nets.scales import Pointwise

COARSEST = 7
"""Pixels a side at which halving ends."""
FOLDED_FROM = 24
"""Pixels a side from which a picture is folded 2×2 into channels."""

Size = tuple[int, int]


def fold_of(size: Size) -> int:
    """Return how many pixels a side of a picture of `size`: (H, W) are folded into channels."""
    return 2 if min(size) >= FOLDED_FROM else 1


def levels_of(size: Size) -> list[Size]:
    """Return the sizes of the grids, finest first, on which a picture of `size`: (H, W) is worked on.

    Odd sides are halved upwards.
    """
    fold = fold_of(size)
    levels = [(math.ceil(size[0] / fold), math.ceil(size[1] / fold))]
    while min(levels[-1]) > COARSEST:
        height, width = levels[-1]
        levels.append((math.ceil(height / 2), math.ceil(width / 2)))
    return levels


class Bounded(nn.Module):
    """A tanh that reaches from one bound to the other, or nothing where there are none."""

    def __init__(self, bounds: tuple[float, float] | None) -> None:
        super().__init__()
        self.bounds = bounds

    def forward(self, x: Tensor) -> Tensor:
        """Keep x: (B, ...) within the bounds, in float32."""
        x = x.float()
        if self.bounds is None:
            return x
        low, high = self.bounds
        return (low + high) / 2 + (high - low) / 2 * x.tanh()


class PictureGenerator(nn.Module):
    """The network: (z: (B, latent), condition) -> (B, C, H, W).

    shape: (C, H, W); latent: length of the noise; width: channels of the finest grid, doubled on all coarser
    ones; classes: number of labels, 0 for none; bounds: of the data, None for unbounded.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        latent: int,
        width: int,
        classes: int = 0,
        bounds: tuple[float, float] | None = None,
    ) -> None:
        super().__init__()
        channels, *size = shape
        self.size = (size[0], size[1])
        self.fold, self.levels = fold_of(self.size), levels_of(self.size)[::-1]
        widths = [2 * width] * (len(self.levels) - 1) + [width]
        embedding = 4 * width
        self.noise = nn.Linear(latent, embedding)
        self.label = LabelEmbedding(classes, embedding)
        self.start = nn.Linear(embedding, widths[0] * math.prod(self.levels[0]))
        self.blocks = nn.ModuleList(ResidualBlock(wide, wide, embedding) for wide in widths)
        self.grow = nn.ModuleList(Pointwise(coarse, 4 * fine) for coarse, fine in pairwise(widths))
        self.norm = ChannelNorm()
        self.head = nn.Conv2d(width, channels * self.fold**2, 3, padding=1)
        self.bounded = Bounded(bounds)

    def forward(self, z: Tensor, condition: Condition | None = None) -> Tensor:
        """Return pictures within the bounds: (B, C, H, W), float32, channels last."""
        embedding = F.silu(self.noise(z) + self.label(condition, len(z)))
        h = self.start(embedding).unflatten(1, (-1, *self.levels[0]))
        h = h.contiguous(memory_format=torch.channels_last)
        for place, block in enumerate(self.blocks):
            if place:
                height, width = self.levels[place]
                h = F.pixel_shuffle(self.grow[place - 1](h), 2)[:, :, :height, :width]
            h = block(h, embedding)
        x = F.pixel_shuffle(self.head(F.silu(self.norm(h))), self.fold)
        return self.bounded(x[:, :, : self.size[0], : self.size[1]])


class VectorGenerator(nn.Module):
    """The network: (z: (B, latent), condition) -> (B, D).

    dimensions: D; latent, classes, bounds: as above; width: of the hidden layers; layers: how many.
    """

    def __init__(
        self,
        dimensions: int,
        latent: int,
        width: int,
        classes: int = 0,
        bounds: tuple[float, float] | None = None,
        layers: int = 3,
    ) -> None:
        super().__init__()
        self.noise = nn.Linear(latent, width)
        self.label = LabelEmbedding(classes, width)
        self.stem = nn.Linear(latent, width)
        self.layers = nn.ModuleList(ResidualLayer(width) for _ in range(layers))
        self.norm = nn.RMSNorm(width, elementwise_affine=False)
        self.head = nn.Linear(width, dimensions)
        self.bounded = Bounded(bounds)

    def forward(self, z: Tensor, condition: Condition | None = None) -> Tensor:
        """Return vectors: (B, D), float32."""
        embedding = F.silu(self.noise(z) + self.label(condition, len(z)))
        h = self.stem(z)
        for layer in self.layers:
            h = layer(h, embedding)
        return self.bounded(self.head(F.silu(self.norm(h))))

"""Networks that turn an example into one row of numbers, its features, with nothing else to be told.

For pictures:  fold → convolution → [residual block → halve] → … → the last map as a row → linear layer

Pictures from 24 pixels on are folded first: each 2×2 block of pixels becomes four times the channels (Shi et
al. 2016, the inverse of their shuffle), and larger ones again, so that the first and costliest convolutions
run at 12 to 23 pixels a side. The last map is read place by place and not averaged: where a stroke lies is
half of what a small picture says.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sfumato.nets.blocks import ChannelNorm, zeroed

FOLDED_FROM = 24
"""Pixels of the shorter side from which a picture is folded."""
LAST_SIDE = 4
"""Places a side that are left of a picture."""


class PlainBlock(nn.Module):
    """Two 3×3 convolutions around which the input passes (He et al. 2016, with the norms before them)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.norm_in, self.norm_out = ChannelNorm(), ChannelNorm()
        self.conv_in = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.conv_out = zeroed(nn.Conv2d(outputs, outputs, 3, padding=1))
        self.skip = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Map x: (B, inputs, H, W) to (B, outputs, H, W)."""
        h = self.conv_in(F.silu(self.norm_in(x)))
        return self.skip(x) + self.conv_out(F.silu(self.norm_out(h)))


class PictureFeatures(nn.Module):
    """The network: x: (B, C, H, W) -> (B, features).

    shape: (C, H, W); features: how many numbers; widths: channels of each level, finest first.
    """

    def __init__(self, shape: tuple[int, ...], features: int, widths: tuple[int, ...]) -> None:
        super().__init__()
        channels, side = shape[0], min(shape[1:])
        self.folds = 0
        while side >= FOLDED_FROM:
            channels, side, self.folds = 4 * channels, -(-side // 2), self.folds + 1
        self.stem = nn.Conv2d(channels, widths[0], 3, padding=1)
        before = (widths[0], *widths[:-1])
        self.blocks = nn.ModuleList(PlainBlock(a, b) for a, b in zip(before, widths, strict=True))
        self.norm = ChannelNorm()
        self.head = nn.Linear(widths[-1] * LAST_SIDE**2, features)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, features); an odd side is halved upwards."""
        for _ in range(self.folds):
            x = F.pixel_unshuffle(F.pad(x, (0, x.shape[3] % 2, 0, x.shape[2] % 2), mode="replicate"), 2)
        h = self.stem(x.contiguous(memory_format=torch.channels_last))
        for block in self.blocks:
            h = block(h)
            if min(h.shape[2:]) > LAST_SIDE:
                h = F.avg_pool2d(h, 2, ceil_mode=True)
        return self.head(F.silu(F.adaptive_avg_pool2d(self.norm(h), LAST_SIDE)).flatten(1))


class VectorFeatures(nn.Module):
    """The network: x: (B, D) -> (B, features). dimensions: D; width: of the two hidden layers."""

    def __init__(self, dimensions: int, features: int, width: int) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(dimensions, width), nn.Linear(width, width)
        self.head = nn.Linear(width, features)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, features)."""
        return self.head(F.silu(self.second(F.silu(self.first(x)))))

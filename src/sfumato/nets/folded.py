"""Pictures to a coarse map of numbers and back, with all work done at that one coarse size.

`fold` pixels a side are folded into channels first (Shi et al. 2016, "sub-pixel convolution"), residual
blocks follow at the size that is left, at most `SIDE` pixels a side, and the way back unfolds. Wide
convolutions over few pixels are what processors do best, and a code of a few numbers a place needs no finer
maps than its own. Each block is told the label, where there is one.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sfumato.condition import Condition
from sfumato.nets.blocks import ChannelNorm, ResidualBlock
from sfumato.nets.embedding import LabelEmbedding

SIDE = 8
"""Places a side that a map has at most."""


def fold_of(shape: tuple[int, ...]) -> int:
    """Return how many pixels a side of pictures of `shape`, (C, H, W), become one place: 2, 4, 8, …"""
    fold = 2
    while max(shape[1:]) > SIDE * fold:
        fold *= 2
    return fold


def grid_of(shape: tuple[int, ...]) -> tuple[int, int]:
    """Return the size (h, w) of the map of pictures of `shape`; sides that do not divide are rounded up."""
    fold = fold_of(shape)
    return -(-shape[1] // fold), -(-shape[2] // fold)


class Trunk(nn.Module):
    """A convolution, residual blocks that know the label, and a convolution: (B, inputs, h, w) to outputs."""

    def __init__(self, inputs: int, outputs: int, width: int, blocks: int, classes: int) -> None:
        super().__init__()
        self.label = LabelEmbedding(classes, width)
        self.stem = nn.Conv2d(inputs, width, 3, padding=1)
        self.blocks = nn.ModuleList(ResidualBlock(width, width, width) for _ in range(blocks))
        self.norm = ChannelNorm()
        self.head = nn.Conv2d(width, outputs, 3, padding=1)

    def forward(self, x: Tensor, condition: Condition | None) -> Tensor:
        """Return (B, outputs, h, w)."""
        h = self.stem(x.contiguous(memory_format=torch.channels_last))
        embedding = self.label(condition, len(x))
        for block in self.blocks:
            h = block(h, embedding)
        return self.head(F.silu(self.norm(h)))


class FoldedReader(nn.Module):
    """The network: (x: (B, C, H, W), condition) -> (B, outputs, h, w).

    shape: (C, H, W); outputs: numbers a place; width: channels of the blocks; blocks: how many; classes:
    number of labels, 0 for none.
    """

    def __init__(
        self, shape: tuple[int, ...], outputs: int, width: int, blocks: int, classes: int = 0
    ) -> None:
        super().__init__()
        self.fold = fold_of(shape)
        self.trunk = Trunk(shape[0] * self.fold**2, outputs, width, blocks, classes)

    def forward(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        """Return the map of x; sides that do not divide are padded with copies of their edge."""
        bottom, right = (-side % self.fold for side in x.shape[2:])
        padded = F.pad(x, (0, right, 0, bottom), mode="replicate") if bottom or right else x
        return self.trunk(F.pixel_unshuffle(padded, self.fold), condition)


class FoldedWriter(nn.Module):
    """The way back: (z: (B, inputs, h, w), condition) -> (B, outputs·C, H, W).

    inputs: numbers a place; outputs: numbers for each value of the picture; the rest as for `FoldedReader`.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        inputs: int,
        outputs: int,
        width: int,
        blocks: int,
        classes: int = 0,
    ) -> None:
        super().__init__()
        self.size, self.fold = (shape[1], shape[2]), fold_of(shape)
        self.trunk = Trunk(inputs, outputs * shape[0] * self.fold**2, width, blocks, classes)

    def forward(self, z: Tensor, condition: Condition | None = None) -> Tensor:
        """Return the numbers that a likelihood reads."""
        unfolded = F.pixel_shuffle(self.trunk(z, condition), self.fold)
        return unfolded[:, :, : self.size[0], : self.size[1]]

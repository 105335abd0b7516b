"""A U-Net for pictures of 8 to 64 pixels (Ronneberger et al. 2015; Ho et al. 2020, appendix B).

The picture is folded into channels first (`fold` pixels a side become one), so that the full resolution,
where a picture has most pixels and least meaning, costs one convolution. Each further level halves the
side. Whatever the way down saw is joined to the way up at the same size.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sfumato.condition import Condition
from sfumato.nets.blocks import Attention, ChannelNorm, ResidualBlock, zeroed
from sfumato.nets.embedding import LabelEmbedding, LevelEmbedding


class Block(nn.Module):
    """A residual block and, where asked, attention behind it."""

    def __init__(self, inputs: int, outputs: int, embedding: int, attend: bool) -> None:
        super().__init__()
        self.residual = ResidualBlock(inputs, outputs, embedding)
        self.attention = Attention(outputs) if attend else nn.Identity()

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        """Map (B, inputs, H, W) to (B, outputs, H, W)."""
        return self.attention(self.residual(x, embedding))


class UNet(nn.Module):
    """The network: (x: (B, C, H, W), level: (B,), condition) -> (B, outputs·C, H, W).

    channels: C of the pictures; widths: channels of each level, finest first; blocks: residual blocks a
    level on the way down (one more on the way up); fold: pixels a side folded into channels at the stem;
    attention: whether the coarsest level attends; classes: number of labels, 0 for none; outputs: numbers
    put out for each one put in.
    """

    def __init__(
        self,
        channels: int,
        widths: tuple[int, ...],
        blocks: int = 2,
        fold: int = 1,
        attention: bool = True,
        classes: int = 0,
        outputs: int = 1,
    ) -> None:
        super().__init__()
        self.fold = fold
        self.multiple = fold * 2 ** (len(widths) - 1)
        embedding = 4 * widths[0]
        self.level = LevelEmbedding(embedding)
        self.label = LabelEmbedding(classes, embedding)
        self.stem = nn.Conv2d(channels * fold**2, widths[0], 3, padding=1)
        deepest = len(widths) - 1

        self.down, self.shrink, skips, width = nn.ModuleList(), nn.ModuleList(), [widths[0]], widths[0]
        for depth, wanted in enumerate(widths):
            if depth > 0:
                self.shrink.append(nn.Conv2d(4 * width, wanted, 1))
                width = wanted
                skips.append(width)
            for _ in range(blocks):
                self.down.append(Block(width, wanted, embedding, attention and depth == deepest))
                width = wanted
                skips.append(width)

        self.middle = Block(width, width, embedding, attention)

        self.up, self.grow = nn.ModuleList(), nn.ModuleList()
        for depth in reversed(range(len(widths))):
            for _ in range(blocks + 1):
                inputs = width + skips.pop()
                self.up.append(Block(inputs, widths[depth], embedding, attention and depth == deepest))
                width = widths[depth]
            if depth > 0:
                self.grow.append(nn.Conv2d(width, 4 * widths[depth - 1], 1))
                width = widths[depth - 1]
        self.blocks = blocks
        self.norm = ChannelNorm()
        self.head = zeroed(nn.Conv2d(width, outputs * channels * fold**2, 3, padding=1))

    def forward(self, x: Tensor, level: Tensor, condition: Condition | None = None) -> Tensor:
        """Return (B, outputs·C, H, W); sides that do not divide are padded and cropped again."""
        height, width = x.shape[2:]
        embedding = F.silu(self.level(level) + self.label(condition, len(x)))
        h = self.stem(F.pixel_unshuffle(self._padded(x), self.fold))
        h = self._up(*self._down(h, embedding), embedding)
        h = F.pixel_shuffle(self.head(F.silu(self.norm(h))), self.fold)
        return h[:, :, :height, :width]

    def _padded(self, x: Tensor) -> Tensor:
        bottom, right = (-side % self.multiple for side in x.shape[2:])
        if bottom or right:
            x = F.pad(x, (0, right, 0, bottom), mode="replicate")
        return x.contiguous(memory_format=torch.channels_last)

    def _down(self, h: Tensor, embedding: Tensor) -> tuple[Tensor, list[Tensor]]:
        skips = [h]
        for index, block in enumerate(self.down):
            depth, place = divmod(index, self.blocks)
            if depth > 0 and place == 0:
                h = self.shrink[depth - 1](F.pixel_unshuffle(h, 2))
                skips.append(h)
            h = block(h, embedding)
            skips.append(h)
        return self.middle(h, embedding), skips

    def _up(self, h: Tensor, skips: list[Tensor], embedding: Tensor) -> Tensor:
        # Both sides of the joint keep unit size: a sum of variances, not of amplitudes.
        for index, block in enumerate(self.up):
            depth, place = divmod(index, self.blocks + 1)
            if depth > 0 and place == 0:
                h = F.pixel_shuffle(self.grow[depth - 1](h), 2)
            h = block(torch.cat([h, skips.pop()], 1), embedding)
        return h


def smallest_side(levels: int, fold: int) -> int:
    """Return the smallest side on which the coarsest level still has 2 pixels."""
    return fold * 2 ** (levels - 1) * 2

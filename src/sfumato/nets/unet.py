"""A U-Net for pictures of 8 to 64 pixels (Ronneberger et al. 2015; Ho et al. 2020, appendix B), kept lean.

The picture is folded into channels first (`fold` pixels a side become one), so that the full resolution,
where a picture has most pixels and least meaning, costs one convolution. Each further level halves the
side. What the way down saw last at each level is joined to the way up by one 1×1 convolution, and only the
middle attends. Skips from every block into wide blocks, and attention along both ways, cost a processor twice
the time for each step and gain less than the steps that this time buys (docs/speed.md).
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sfumato.condition import Condition
from sfumato.nets.blocks import Attention, ChannelNorm, ResidualBlock, WordAttention, Words, zeroed
from sfumato.nets.conditions import Kinds, Told
from sfumato.nets.embedding import LevelEmbedding


class Stage(nn.Module):
    """The residual blocks of one level, one way, and a look at the words, if there are any to be told."""

    def __init__(self, width: int, blocks: int, embedding: int, words: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(ResidualBlock(width, width, embedding) for _ in range(blocks))
        self.look = WordAttention(width, words) if words else None

    def forward(self, h: Tensor, embedding: Tensor, words: Words | None) -> Tensor:
        """Map (B, width, H, W) to the same shape."""
        for block in self.blocks:
            h = block(h, embedding)
        return h if self.look is None or words is None else self.look(h, words)


class UNet(nn.Module):
    """The network: (x: (B, C, H, W), level: (B,), condition) -> (B, outputs·C, H, W).

    channels: C of the pictures; widths: channels of each level, finest first; blocks: residual blocks a
    level, each way; fold: pixels a side folded into channels at the stem; attention: whether the middle
    attends; conditions: what it can be told; outputs: numbers put out for each one put in.
    """

    def __init__(
        self,
        channels: int,
        widths: tuple[int, ...],
        blocks: int = 1,
        fold: int = 1,
        attention: bool = True,
        conditions: Kinds | None = None,
        outputs: int = 1,
    ) -> None:
        super().__init__()
        self.fold = fold
        self.multiple = fold * 2 ** (len(widths) - 1)
        embedding = 4 * widths[0]
        self.level = LevelEmbedding(embedding)
        self.told = Told(conditions or {}, embedding)
        self.stem = nn.Conv2d((channels + self.told.channels) * fold**2, widths[0], 3, padding=1)
        steps, words = list(pairwise(widths)), self.told.words
        self.down = nn.ModuleList(Stage(width, blocks, embedding, words) for width in widths)
        self.shrink = nn.ModuleList(nn.Conv2d(4 * fine, coarse, 1) for fine, coarse in steps)
        self.middle = ResidualBlock(widths[-1], widths[-1], embedding)
        self.attention = Attention(widths[-1]) if attention else nn.Identity()
        self.join = nn.ModuleList(nn.Conv2d(2 * width, width, 1) for width in reversed(widths))
        self.up = nn.ModuleList(Stage(width, blocks, embedding, words) for width in reversed(widths))
        self.grow = nn.ModuleList(nn.Conv2d(coarse, 4 * fine, 1) for fine, coarse in reversed(steps))
        self.norm = ChannelNorm()
        self.head = zeroed(nn.Conv2d(widths[0], outputs * channels * fold**2, 3, padding=1))

    def forward(self, x: Tensor, level: Tensor, condition: Condition | None = None) -> Tensor:
        """Return (B, outputs·C, H, W); sides that do not divide are padded and cropped again."""
        height, width = x.shape[2:]
        said = self.told(self.level(level), condition)
        embedding = F.silu(said.whole)
        shown = self._padded(self.told.shown_beside(x, condition))
        h, skips = self._down(self.stem(F.pixel_unshuffle(shown, self.fold)), embedding, said.words)
        h = self.attention(self.middle(h, embedding))
        h = self._up(h, skips, embedding, said.words)
        h = F.pixel_shuffle(self.head(F.silu(self.norm(h))), self.fold)
        return h[:, :, :height, :width]

    def _padded(self, x: Tensor) -> Tensor:
        bottom, right = (-side % self.multiple for side in x.shape[2:])
        if bottom or right:
            x = F.pad(x, (0, right, 0, bottom), mode="replicate")
        return x.contiguous(memory_format=torch.channels_last)

    def _down(self, h: Tensor, embedding: Tensor, words: Words | None) -> tuple[Tensor, list[Tensor]]:
        skips = []
        for depth, stage in enumerate(self.down):
            if depth:
                h = self.shrink[depth - 1](F.pixel_unshuffle(h, 2))
            h = stage(h, embedding, words)
            skips.append(h)
        return h, skips

    def _up(self, h: Tensor, skips: list[Tensor], embedding: Tensor, words: Words | None) -> Tensor:
        for place, stage in enumerate(self.up):
            if place:
                h = F.pixel_shuffle(self.grow[place - 1](h), 2)
            h = stage(self.join[place](torch.cat([h, skips.pop()], 1)), embedding, words)
        return h


def smallest_side(levels: int, fold: int) -> int:
    """Return the smallest side on which the coarsest level still has 2 pixels."""
    return fold * 2 ** (levels - 1) * 2

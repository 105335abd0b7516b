"""Encoders: networks that look at a noisy example and its level, and put out one row of numbers.

That of pictures is the way down of a U-Net (Dhariwal & Nichol 2021, section 4 take just that half for their
noisy classifiers): residual blocks modulated by the level, halving the side, then the mean over what is left.
That of vectors is the trunk of the perceptron.
"""

from torch import Tensor, nn
from torch.nn import functional as F

from sfumato.nets.blocks import ChannelNorm, ResidualBlock
from sfumato.nets.embedding import LevelEmbedding
from sfumato.nets.mlp import ResidualLayer

SMALLEST_SIDE = 4
"""Pixels a side at which halving ends."""


class PictureEncoder(nn.Module):
    """The network: (x: (B, C, H, W), level: (B,)) -> (B, outputs).

    channels: C; outputs: how many numbers; widths: channels of each level, finest first.
    """

    def __init__(self, channels: int, outputs: int, widths: tuple[int, ...] = (32, 64, 96, 128)) -> None:
        super().__init__()
        width = widths[0]
        embedding = 4 * width
        self.level = LevelEmbedding(embedding)
        self.stem = nn.Conv2d(channels, width, 3, padding=1)
        self.blocks = nn.ModuleList()
        for wanted in widths:
            self.blocks.append(ResidualBlock(width, wanted, embedding))
            width = wanted
        self.norm = ChannelNorm()
        self.head = nn.Linear(width, outputs)

    def forward(self, x: Tensor, level: Tensor) -> Tensor:
        """Return (B, outputs); an odd side is halved upwards."""
        embedding = F.silu(self.level(level))
        h = self.stem(x)
        for block in self.blocks:
            h = block(h, embedding)
            if min(h.shape[2:]) > SMALLEST_SIDE:
                h = F.avg_pool2d(h, 2, ceil_mode=True)
        return self.head(F.silu(self.norm(h)).mean((2, 3)))


class VectorEncoder(nn.Module):
    """The network: (x: (B, D), level: (B,)) -> (B, outputs).

    dimensions: D; outputs: how many numbers; width: of the hidden layers; layers: how many.
    """

    def __init__(self, dimensions: int, outputs: int, width: int = 128, layers: int = 3) -> None:
        super().__init__()
        self.level = LevelEmbedding(width)
        self.stem = nn.Linear(dimensions, width)
        self.layers = nn.ModuleList(ResidualLayer(width) for _ in range(layers))
        self.head = nn.Linear(width, outputs)

    def forward(self, x: Tensor, level: Tensor) -> Tensor:
        """Return (B, outputs)."""
        embedding, h = F.silu(self.level(level)), self.stem(x)
        for layer in self.layers:
            h = layer(h, embedding)
        return self.head(F.silu(h))

"""The way down and the way up between examples and rows of numbers, by a few scales.

A picture is folded into channels at each scale: first so that its finest scale has 7 to 14 pixels a side,
then by halves, and last into a single pixel, where every number may depend on the whole. Vectors are pictures
of one pixel, so the same networks serve them. Plain blocks of convolutions stand at each scale; at one pixel
they are a perceptron.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from torch import Tensor, nn
from torch.nn import functional as F

from sfumato.errors import ConfigError
from sfumato.nets.blocks import ChannelNorm, zeroed

FINEST_SIDE = 7
"""Pixels a side that folding leaves at the finest scale at least."""


@dataclass(frozen=True)
class Scales:
    """How an example is folded.

    channels: C of pictures, D of vectors; size: (H, W), (1, 1) for vectors; folds: how many pixels a side
    become one on the way to each scale, the finest first, the last of which has one pixel.
    """

    channels: int
    size: tuple[int, int]
    folds: tuple[int, ...]

    @classmethod
    def of(cls, shape: tuple[int, ...], count: int) -> "Scales":
        """Return the `count` scales of examples of `shape`: (C, H, W) or (D,).

        Raises ConfigError where there are fewer pixels than scales need.
        """
        if len(shape) == 1:
            return cls(shape[0], (1, 1), (1,) * count)
        height, width = shape[1:]
        side = max(height, width)
        if count == 1:
            return cls(shape[0], (height, width), (side,))
        fold = 1
        while side // (2 * fold) >= FINEST_SIDE:
            fold *= 2
        halvings = count - 2
        last = -(-side // (fold * 2**halvings))
        if last < 2:
            raise ConfigError(
                f"pictures of {height}×{width} have no {count} scales, each half the one before: give "
                "fewer widths, or fewer groups of latents."
            )
        return cls(shape[0], (height, width), (fold, *[2] * halvings, last))

    def side(self, scale: int) -> int:
        """Return how many pixels a side a scale has, counted from the finest, 0."""
        return prod(self.folds[scale + 1 :])

    def padded(self, x: Tensor) -> Tensor:
        """Return x as a square picture that folds without rest: (B, C, S, S)."""
        picture = x.reshape(len(x), self.channels, *self.size)
        bottom, right = (prod(self.folds) - side for side in self.size)
        if bottom or right:
            picture = F.pad(picture, (0, right, 0, bottom), mode="replicate")
        return picture

    def cropped(self, picture: Tensor, shape: Sequence[int]) -> Tensor:
        """Undo `padded` for n numbers a value: (B, n·C, S, S) -> (B, n·C, …) as examples of `shape`."""
        height, width = self.size
        return picture[:, :, :height, :width].reshape(len(picture), -1, *shape[1:])


class Pointwise(nn.Linear):
    """A 1×1 convolution as one matrix product, whose backward pass costs a processor far less."""

    def forward(self, h: Tensor) -> Tensor:
        """Map (B, inputs, H, W) to (B, outputs, H, W)."""
        return super().forward(h.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def mixing(inputs: int, outputs: int, side: int) -> nn.Conv2d | nn.Linear:
    """Return a 3×3 convolution, or where there is nothing around the one pixel, a matrix."""
    return nn.Conv2d(inputs, outputs, 3, padding=1) if side > 1 else Pointwise(inputs, outputs)


class Block(nn.Module):
    """Two convolutions around which the input passes (He et al. 2016), for pictures of `side` pixels."""

    def __init__(self, width: int, side: int) -> None:
        super().__init__()
        self.norm_in, self.norm_out = ChannelNorm(), ChannelNorm()
        self.conv_in, self.conv_out = mixing(width, width, side), zeroed(mixing(width, width, side))

    def forward(self, h: Tensor) -> Tensor:
        """Map (B, width, H, W) to the same shape."""
        inner = self.conv_in(F.silu(self.norm_in(h)))
        return h + self.conv_out(F.silu(self.norm_out(inner)))


class Down(nn.Module):
    """From an example to features at every scale. widths: channels of the scales, finest first."""

    def __init__(self, scales: Scales, widths: tuple[int, ...], blocks: int = 1) -> None:
        super().__init__()
        self.scales = scales
        inputs = (scales.channels, *widths[:-1])
        sizes = [before * fold**2 for before, fold in zip(inputs, scales.folds, strict=True)]
        self.stem = mixing(sizes[0], widths[0], scales.side(0))
        self.shrink = nn.ModuleList(map(Pointwise, sizes[1:], widths[1:]))
        self.blocks = nn.ModuleList(
            nn.Sequential(*(Block(width, scales.side(scale)) for _ in range(blocks)))
            for scale, width in enumerate(widths)
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return the features: (B, widths[i], S_i, S_i) of each scale, the finest first."""
        h, found = self.scales.padded(x), []
        ways = (self.stem, *self.shrink)
        for fold, way, blocks in zip(self.scales.folds, ways, self.blocks, strict=True):
            h = blocks(way(F.pixel_unshuffle(h, fold)))
            found.append(h)
        return found


class Grow(nn.Module):
    """One scale up: each pixel becomes fold × fold ones."""

    def __init__(self, coarse: int, fine: int, fold: int) -> None:
        super().__init__()
        self.fold, self.spread = fold, Pointwise(coarse, fine * fold**2)

    def forward(self, h: Tensor) -> Tensor:
        """Map (B, coarse, S, S) to (B, fine, fold·S, fold·S)."""
        return F.pixel_shuffle(self.spread(h), self.fold)


class Head(nn.Module):
    """From the finest scale to `outputs` numbers for each value of an example of `shape`.

    It sees a place's neighbours, as the stem does: patches drawn each by itself learn far more slowly.
    """

    def __init__(self, scales: Scales, shape: tuple[int, ...], width: int, outputs: int) -> None:
        super().__init__()
        self.scales, self.shape = scales, shape
        self.norm = ChannelNorm()
        self.conv = mixing(width, outputs * scales.channels * scales.folds[0] ** 2, scales.side(0))

    def forward(self, h: Tensor) -> Tensor:
        """Map (B, width, S, S) to (B, outputs·C, H, W), or (B, outputs·D)."""
        picture = F.pixel_shuffle(self.conv(F.silu(self.norm(h))), self.scales.folds[0])
        return self.scales.cropped(picture, self.shape)

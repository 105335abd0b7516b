"""An encoder and a decoder of pictures: convolutions down to a small code and up again (Masci et al. 2011).

    z = tanh(encoder(x)) in (−1, 1),      x~ = decoder(z)

The code is bounded, so whoever adds noise to it or learns its distribution knows its scale. A *spatial* code
(c, h, w) has h and w that are H and W halved a few times, rounded up; a *flat* one of d numbers is read off
the coarsest map by one matrix. The first halving folds pixels into channels, which costs nothing; no layer
looks at more than one example, so a code does not depend on the batch it was found in.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sfumato.errors import ConfigError
from sfumato.nets.blocks import ChannelNorm, zeroed

COARSEST = 4
"""Pixels a side down to which a picture is halved for a flat code."""


class Block(nn.Module):
    """Two 3×3 convolutions around which the input passes (He et al. 2016)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(ChannelNorm() for _ in range(2))
        self.inner = nn.Conv2d(width, width, 3, padding=1)
        self.outer = zeroed(nn.Conv2d(width, width, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        """Map x: (B, width, H, W) to the same shape."""
        h = self.inner(F.silu(self.norms[0](x)))
        return x + self.outer(F.silu(self.norms[1](h)))


class Encoder(nn.Module):
    """Pictures to codes.

    channels: C; code: (c, h, w) or (d,); coarse: (h, w) of the coarsest map; halvings: from (H, W) to there;
    width: channels of the finest map, doubled by the first further halving; blocks: residual blocks a map.
    """

    def __init__(
        self,
        channels: int,
        code: tuple[int, ...],
        coarse: tuple[int, int],
        halvings: int,
        width: int,
        blocks: int,
    ) -> None:
        super().__init__()
        self.fold, self.multiple = 2 ** min(halvings, 1), 2**halvings
        self.stem = nn.Conv2d(channels * self.fold**2, width, 3, padding=1)
        self.maps = nn.Sequential(*(Block(width) for _ in range(blocks)))
        for fine, wide in _further(halvings, width):
            self.maps.extend([nn.PixelUnshuffle(2), nn.Conv2d(4 * fine, wide, 1)])
            self.maps.extend([Block(wide) for _ in range(blocks)])
        widest = _widest(halvings, width)
        self.norm = ChannelNorm()
        self.head: nn.Module = nn.Conv2d(widest, code[0], 3, padding=1)
        if len(code) == 1:
            self.head = nn.Sequential(nn.Flatten(), nn.Linear(widest * coarse[0] * coarse[1], code[0]))

    def forward(self, x: Tensor) -> Tensor:
        """Return the codes of x: (B, C, H, W) as float32 (B, c, h, w) or (B, d), in (−1, 1)."""
        bottom, right = (-side % self.multiple for side in x.shape[2:])
        padded = F.pad(x, (0, right, 0, bottom), mode="replicate") if bottom or right else x
        folded = F.pixel_unshuffle(padded, self.fold).contiguous(memory_format=torch.channels_last)
        h = self.maps(self.stem(folded))
        return torch.tanh(self.head(F.silu(self.norm(h))).float())


class Decoder(nn.Module):
    """Codes to pictures: the encoder's way back. size: (H, W) of the pictures, the rest as for `Encoder`."""

    def __init__(
        self,
        channels: int,
        code: tuple[int, ...],
        coarse: tuple[int, int],
        halvings: int,
        width: int,
        blocks: int,
        size: tuple[int, int],
    ) -> None:
        super().__init__()
        self.fold, self.size = 2 ** min(halvings, 1), size
        widest = _widest(halvings, width)
        self.stem: nn.Module = nn.Conv2d(code[0], widest, 3, padding=1)
        if len(code) == 1:
            unflatten = nn.Unflatten(1, (widest, *coarse))
            self.stem = nn.Sequential(nn.Linear(code[0], widest * coarse[0] * coarse[1]), unflatten)
        self.maps = nn.Sequential()
        for fine, wide in reversed(_further(halvings, width)):
            self.maps.extend([Block(wide) for _ in range(blocks)])
            self.maps.extend([nn.Conv2d(wide, 4 * fine, 1), nn.PixelShuffle(2)])
        self.maps.extend([Block(width) for _ in range(blocks)])
        self.norm = ChannelNorm()
        self.head = zeroed(nn.Conv2d(width, channels * self.fold**2, 3, padding=1))

    def forward(self, z: Tensor) -> Tensor:
        """Return the pictures of codes z: (B, c, h, w) or (B, d) as (B, C, H, W)."""
        h = self.maps(self.stem(z).contiguous(memory_format=torch.channels_last))
        x = F.pixel_shuffle(self.head(F.silu(self.norm(h))), self.fold)
        return x[:, :, : self.size[0], : self.size[1]]


class PictureCodec(nn.Module):
    """Both ways for pictures of `shape`: (C, H, W).

    latent: d for a flat code or (c, h, w) for a spatial one; width, blocks: see `Encoder`. Raises ConfigError
    for a spatial code of a size that halving does not reach.
    """

    def __init__(
        self, shape: tuple[int, ...], latent: int | tuple[int, ...], width: int, blocks: int
    ) -> None:
        super().__init__()
        code = (latent,) if isinstance(latent, int) else tuple(latent)
        halvings, coarse = _coarsest(shape, code)
        self.encoder = Encoder(shape[0], code, coarse, halvings, width, blocks)
        self.decoder = Decoder(shape[0], code, coarse, halvings, width, blocks, (shape[1], shape[2]))

    def forward(self, x: Tensor, moved: Tensor) -> Tensor:
        """Return what is left of x: (B, C, H, W) behind its code, moved by (B, *latent)."""
        return self.decoder(self.encoder(x) + moved)


def _further(halvings: int, width: int) -> list[tuple[int, int]]:
    """Return the channels before and after each halving but the first."""
    return [(width if place == 0 else 2 * width, 2 * width) for place in range(halvings - 1)]


def _widest(halvings: int, width: int) -> int:
    return 2 * width if halvings > 1 else width


def _coarsest(shape: tuple[int, ...], code: tuple[int, ...]) -> tuple[int, tuple[int, int]]:
    """Return how often the sides are halved for a code, and the size of the coarsest map."""
    sizes = [(shape[1], shape[2])]
    while min(sizes[-1]) > COARSEST:
        sizes.append((-(-sizes[-1][0] // 2), -(-sizes[-1][1] // 2)))
    if len(code) == 1:
        return len(sizes) - 1, sizes[-1]
    if len(code) != 3 or code[1:] not in sizes:
        known = " or ".join(f"{height}×{width}" for height, width in sizes)
        raise ConfigError(
            f"a latent of {list(code)} does not fit pictures of {shape[1]}×{shape[2]}: give a number, or "
            f"[channels, height, width] with {known}."
        )
    return sizes.index((code[1], code[2])), (code[1], code[2])

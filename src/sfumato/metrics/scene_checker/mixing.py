"""Which colour is in a pixel, and how much of it.

Where a thing of colour k covers the share c of a pixel, before the background b, the pixel is

    p = b + c·(k − b),    so    c = ⟨p − b, k − b⟩ / |k − b|²    and    r = |p − b − c·(k − b)| = 0.

Of all colours the pixel's is the one with the least residual r: an edge, half background, tells its colour as
well as the inside does, and so does a picture that is blurred. The background is the median of the border.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from sfumato.data.scenes.words import COLOURS

SOLID = 0.5
"""A pixel belongs to a thing that covers at least half of it."""

TOLERANCE = 0.35
"""The residual, in |k − b|, above which a pixel is of no known colour. A blend of the nearest two of the six
(red and yellow) stays below it and is read as one of them; a white or pale blue pixel is none."""


@dataclass(frozen=True)
class Mixture:
    """share: (N, K, H, W), how much of each colour is in a pixel; solid: bool, as large, whose it is."""

    share: Tensor
    solid: Tensor


def unmix(pictures: Tensor) -> Mixture:
    """Take pictures, uint8 (N, 3, H, W), apart into the K colours of `COLOURS` before their background."""
    pixels = pictures.float()
    background = _border(pixels).median(2).values
    light = pixels - background[:, :, None, None]
    colours = torch.tensor(list(COLOURS.values()), dtype=torch.float32)
    directions = colours - background[:, None]
    lengths = directions.square().sum(2).clamp_min(1.0)[..., None, None]  # a background may be of a colour
    share = torch.einsum("nkc,nchw->nkhw", directions, light) / lengths
    # |light − share·direction|², by Pythagoras; rounding can push it below nothing.
    residual = (light.square().sum(1, keepdim=True) - share.square() * lengths).clamp_min(0)
    nearest = residual == residual.amin(1, keepdim=True)
    solid = nearest & (share >= SOLID) & (residual <= TOLERANCE**2 * lengths)
    return Mixture(share, solid)


def _border(pixels: Tensor) -> Tensor:
    """Return the outermost pixels: (N, 3, P)."""
    rows, columns = pixels[:, :, [0, -1]], pixels[:, :, 1:-1, [0, -1]]
    return torch.cat([rows.flatten(2), columns.flatten(2)], 2)

"""Augmentations that say where things are: moved pictures, and pictures with a part missing."""

from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from sfumato.families.contrasting.augmentations.base import signs


@dataclass(frozen=True)
class Moved:
    """Shifted, zoomed, turned and sheared in one resampling, since each one blurs; the border is repeated.

    shift: in sides, at most; zoom: e^±zoom at most, a crop that is resized where it enlarges; turn: at most,
    in radians; shear: at most, in sides across per side down; mirror: the share of mirrored pictures.
    """

    shift: float = 0.1
    zoom: float = 0.2
    turn: float = 0.25
    shear: float = 0.15
    mirror: float = 0.0

    def draw(self, rows: int, shape: tuple[int, ...], generator: Generator) -> Tensor:
        """Draw six numbers a picture: (rows, 6)."""
        return signs(rows, 6, generator)

    def __call__(self, x: Tensor, drawn: Tensor) -> Tensor:
        """Resample x: (B, C, H, W), bilinearly."""
        across, down, zoom, turn, shear, flip = drawn.unbind(1)
        size, angle = torch.exp(-self.zoom * zoom), self.turn * turn
        mirrored = torch.where((flip + 1) / 2 < self.mirror, -1.0, 1.0)
        cos, sin = size * angle.cos(), size * angle.sin()
        tall = x.shape[2] / x.shape[3]
        # Where each pixel of the output comes from, in half sides: not equal where a picture is not square.
        first = torch.stack([mirrored * cos, self.shear * shear - tall * sin, 2 * self.shift * across], 1)
        second = torch.stack([mirrored * sin / tall, cos, 2 * self.shift * down], 1)
        places = F.affine_grid(torch.stack([first, second], 1), list(x.shape), align_corners=False)
        return F.grid_sample(x, places, mode="bilinear", padding_mode="border", align_corners=False)


@dataclass(frozen=True)
class CutOut:
    """A square of up to `most` sides anywhere in the picture takes its mean (DeVries & Taylor 2017)."""

    most: float = 0.3

    def draw(self, rows: int, shape: tuple[int, ...], generator: Generator) -> Tensor:
        """Draw three numbers a picture: (rows, 3)."""
        return torch.rand(rows, 3, generator=generator)

    def __call__(self, x: Tensor, drawn: Tensor) -> Tensor:
        """Cut a square out of x: (B, C, H, W)."""
        height, width = x.shape[2:]
        down, across, side = drawn.T[..., None, None, None]  # (B, 1, 1, 1) each
        half = self.most * side * min(height, width) / 2
        rows = torch.arange(height, device=x.device)[:, None] + 0.5
        columns = torch.arange(width, device=x.device) + 0.5
        inside = ((rows - down * height).abs() < half) & ((columns - across * width).abs() < half)
        return torch.where(inside, x.mean((2, 3), keepdim=True), x)

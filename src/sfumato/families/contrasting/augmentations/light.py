"""Augmentations that say how things look: light, colour, sharpness and noise."""

import math
from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from sfumato.families.contrasting.augmentations.base import signs
from sfumato.nets.filters import bell


@dataclass(frozen=True)
class Lit:
    """Another light: contrast times 1 ± contrast and brightness ± `brightness`, kept in [−1, 1]."""

    brightness: float = 0.2
    contrast: float = 0.3

    def draw(self, rows: int, shape: tuple[int, ...], generator: Generator) -> Tensor:
        """Draw two numbers a picture: (rows, 2)."""
        return signs(rows, 2, generator)

    def __call__(self, x: Tensor, drawn: Tensor) -> Tensor:
        """Change the light of x: (B, C, H, W)."""
        brightness, contrast = drawn[..., None, None].split(1, dim=1)
        return ((1 + self.contrast * contrast) * x + self.brightness * brightness).clamp(-1, 1)


@dataclass(frozen=True)
class Tinted:
    """Other colours: turned about the grey axis and faded or deepened, some pictures without any colour.

        x ↦ grey + (1 ± fade)·R(angle)·(x − grey),     R(a)·d = cos a·d + sin a·(1,1,1)/√3 × d

    (the second line is Rodrigues' formula for d at right angles to the axis.)
    hue: radians at most; fade: at most; grey: the share of pictures that lose all colour (Chen et al. 2020).
    """

    hue: float = 0.3
    fade: float = 0.4
    grey: float = 0.2

    def draw(self, rows: int, shape: tuple[int, ...], generator: Generator) -> Tensor:
        """Draw three numbers a picture: (rows, 3)."""
        return signs(rows, 3, generator)

    def __call__(self, x: Tensor, drawn: Tensor) -> Tensor:
        """Change the colours of x: (B, 3, H, W)."""
        hue, fade, lose = drawn[..., None, None].split(1, dim=1)
        grey = x.mean(1, keepdim=True)
        colour = x - grey
        turned = (colour.roll(1, 1) - colour.roll(2, 1)) / math.sqrt(3)  # (1,1,1)/√3 × colour
        angle, kept = self.hue * hue, ((lose + 1) / 2 >= self.grey) * (1 + self.fade * fade)
        return (grey + kept * (angle.cos() * colour + angle.sin() * turned)).clamp(-1, 1)


@dataclass(frozen=True)
class Blurred:
    """A Gaussian blur, a row's by up to `most` sides (0.03: about a pixel of 28)."""

    most: float = 0.03

    def draw(self, rows: int, shape: tuple[int, ...], generator: Generator) -> Tensor:
        """Draw a number a picture: (rows, 1)."""
        return torch.rand(rows, 1, generator=generator)

    def __call__(self, x: Tensor, drawn: Tensor) -> Tensor:
        """Blur x: (B, C, H, W) down and across, two standard deviations wide; the border is repeated."""
        most = self.most * min(x.shape[2:])
        reach = math.ceil(2 * most)
        weights = bell(most * drawn[:, 0], reach).T[..., None, None, None]  # (2·reach + 1, B, 1, 1, 1)
        for dim, pad in ((2, (0, 0, reach, reach)), (3, (reach, reach, 0, 0))):
            long = F.pad(x, pad, mode="replicate")
            x = sum(w * long.narrow(dim, k, x.shape[dim]) for k, w in enumerate(weights))
        return x


@dataclass(frozen=True)
class Noisy:
    """Gaussian noise of standard deviation `std`, on pictures or vectors."""

    std: float = 0.1

    def draw(self, rows: int, shape: tuple[int, ...], generator: Generator) -> Tensor:
        """Draw a number a value: (rows, *shape)."""
        return torch.randn(rows, *shape, generator=generator)

    def __call__(self, x: Tensor, drawn: Tensor) -> Tensor:
        """Add noise to x: (B, ...)."""
        return x + self.std * drawn

"""What an autoencoder is shown in place of an example, and which of its errors count.

    nothing   x,                                    every error
    noise     x + sigma·eps, eps ~ N(0, I)          every error, against the clean x (Vincent et al. 2008)
    mask      x with a share of its patches grey    the errors where it was hidden (He et al. 2022)

A denoising autoencoder is not told sigma: it is drawn for each example, evenly between two bounds.
"""

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from sfumato.diffusion.level import expand
from sfumato.errors import ConfigError
from sfumato.families.agreements import Draws


class Corruption(Protocol):
    """A way of spoiling examples."""

    def check(self, shape: tuple[int, ...]) -> None:
        """Raise ConfigError for examples of a `shape` that cannot be spoiled like this."""
        ...

    def draw(self, rows: int, shape: tuple[int, ...], generator: torch.Generator) -> Draws:
        """Draw what spoiling `rows` examples of `shape` needs."""
        ...

    def spoil(self, x: Tensor, draws: Draws) -> Tensor:
        """Return what is shown of x: (B, ...)."""
        ...

    def error(self, squares: Tensor, draws: Draws) -> Tensor:
        """Return the mean of the `squares` that count, (B, ...), for each example: (B,)."""
        ...

    def completed(self, rebuilt: Tensor, x: Tensor, draws: Draws) -> Tensor:
        """Return what was rebuilt of x, both (B, ...), with what is known of x put back."""
        ...


class Everywhere:
    """Every error counts, whatever the shape."""

    def check(self, shape: tuple[int, ...]) -> None:
        """Refuse nothing."""

    def error(self, squares: Tensor, draws: Draws) -> Tensor:
        """Return the mean of `squares`: (B,)."""
        return squares.flatten(1).mean(1)

    def completed(self, rebuilt: Tensor, x: Tensor, draws: Draws) -> Tensor:
        """Return `rebuilt`: no value is known."""
        return rebuilt


@dataclass(frozen=True)
class Nothing(Everywhere):
    """The example as it is."""

    def draw(self, rows: int, shape: tuple[int, ...], generator: torch.Generator) -> Draws:
        """Draw nothing."""
        return {}

    def spoil(self, x: Tensor, draws: Draws) -> Tensor:
        """Return x."""
        return x


@dataclass(frozen=True)
class Noise(Everywhere):
    """Normal noise of a deviation between `least` and `most`, in the model's units (pictures: −1 to 1)."""

    least: float
    most: float

    def __post_init__(self) -> None:
        if not 0 <= self.least <= self.most < math.inf or self.most == 0:
            raise ConfigError(
                f"noise must be a deviation above 0, or two from 0 up such as [0.1, 1], not "
                f"{[self.least, self.most]}"
            )

    def draw(self, rows: int, shape: tuple[int, ...], generator: torch.Generator) -> Draws:
        """Draw each example's sigma: (B,), and its eps: (B, ...)."""
        sigma = self.least + (self.most - self.least) * torch.rand(rows, generator=generator)
        return {"sigma": sigma, "eps": torch.randn(rows, *shape, generator=generator)}

    def spoil(self, x: Tensor, draws: Draws) -> Tensor:
        """Return x + sigma·eps."""
        return x + expand(draws["sigma"], x) * draws["eps"]


@dataclass(frozen=True)
class Mask:
    """A `share` of the patches, of `patch`×`patch` pixels, turned grey; as many of them in every picture."""

    share: float
    patch: int

    def __post_init__(self) -> None:
        if not 0 < self.share < 1 or self.patch < 1:
            raise ConfigError(
                f"a mask hides a share between 0 and 1 in patches of at least 1 pixel, not {self.share} in "
                f"patches of {self.patch}"
            )

    def check(self, shape: tuple[int, ...]) -> None:
        """Refuse vectors, which have no patches, and pictures of fewer than two."""
        if len(shape) != 3 or math.prod(self._patches(shape)) < 2:
            raise ConfigError(f"examples of shape {shape} have no two patches of {self.patch} pixels to hide")

    def draw(self, rows: int, shape: tuple[int, ...], generator: torch.Generator) -> Draws:
        """Draw which pixels are hidden: (B, 1, H, W) of bool."""
        height, width = self._patches(shape)
        count = height * width
        order = torch.rand(rows, count, generator=generator).argsort(1).argsort(1)
        hidden = order < min(count - 1, max(1, round(self.share * count)))
        patches = hidden.unflatten(1, (1, height, width)).float()
        pixels = F.interpolate(patches, scale_factor=self.patch, mode="nearest")
        return {"hidden": pixels[:, :, : shape[1], : shape[2]] > 0}

    def spoil(self, x: Tensor, draws: Draws) -> Tensor:
        """Return x with what is hidden at 0, the middle of its range."""
        return x.masked_fill(draws["hidden"], 0.0)

    def error(self, squares: Tensor, draws: Draws) -> Tensor:
        """Return the mean of `squares`: (B, C, H, W) over what was hidden: (B,)."""
        hidden = draws["hidden"].expand_as(squares).flatten(1)
        return (squares.flatten(1) * hidden).sum(1) / hidden.sum(1)

    def completed(self, rebuilt: Tensor, x: Tensor, draws: Draws) -> Tensor:
        """Return x with what was hidden as it was rebuilt; nobody asked how the rest looks."""
        return torch.where(draws["hidden"], rebuilt, x)

    def _patches(self, shape: tuple[int, ...]) -> tuple[int, int]:
        return -(-shape[1] // self.patch), -(-shape[2] // self.patch)

"""A picture that lacks something, which is to be made up: size, or colour.

In training it is the example itself with less of it. A smaller one is averaged over squares of pixels and, so
that the model forgives what another model errs, has noise added (`families.conditioning`). A grey one is the
luminance Y = 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601), as pictures without colour are stored.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from sfumato.data.dataset import Split
from sfumato.data.scaling import Pixels
from sfumato.errors import ConfigError
from sfumato.nets.conditions import Picture
from sfumato.runs.conditions.agreements import Cycled, Lookup


@dataclass(frozen=True)
class PictureCondition:
    """A smaller picture of shape (C, h, w); noise: the greatest share of noise added to it in training."""

    shape: tuple[int, int, int]
    noise: float = 0.3
    always = True

    def __post_init__(self) -> None:
        if not 0 <= self.noise <= 1:
            raise ConfigError(f"the noise of a picture condition lies in [0, 1], not {self.noise}")

    def kind(self) -> Picture:
        """Return how many colours it has."""
        return Picture(self.shape[0])

    def open(self, folder: Path, device: torch.device) -> "PictureReader":
        """Return the reader of pictures."""
        return PictureReader(self.shape, partial(averaged, side=self.shape[2]), "upscale", "larger")


@dataclass(frozen=True)
class GreyCondition:
    """The picture without its colours, of shape (1, H, W); noise: as for smaller ones, by default none."""

    shape: tuple[int, int, int]
    noise: float = 0.0
    always = True

    def __post_init__(self) -> None:
        if self.shape[0] != 1 or not 0 <= self.noise <= 1:
            raise ConfigError(
                f"a grey picture has 1 channel and a noise in [0, 1], not {self.shape[0]} and {self.noise}"
            )

    def kind(self) -> Picture:
        """Return that it has one channel."""
        return Picture(1)

    def open(self, folder: Path, device: torch.device) -> "PictureReader":
        """Return the reader of pictures."""
        return PictureReader(self.shape, luminance, "colourise", "coloured")


def averaged(pictures: Tensor, side: int) -> Tensor:
    """Return pictures (B, C, H, W), averaged over squares of pixels to `side` pixels a side, rounded."""
    return F.avg_pool2d(pictures.float(), pictures.shape[-1] // side).round().to(torch.uint8)


def luminance(pictures: Tensor) -> Tensor:
    """Return pictures (B, 3, H, W) of bytes without their colours: uint8 (B, 1, H, W)."""
    weights = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)
    return (pictures * weights).sum(1, keepdim=True).round().to(torch.uint8)


@dataclass(frozen=True)
class PictureReader:
    """From pictures of bytes to what the network sees beside its own: float (B, C + 1, h, w).

    shape: (C, h, w); lessen: what makes such a picture of an example; verb: the command that asks for more of
    it, and `result`: what that makes of it, in a word.
    """

    shape: tuple[int, int, int]
    lessen: Callable[[Tensor], Tensor]
    verb: str
    result: str

    def of_split(self, split: Split) -> Lookup:
        """Return the examples themselves, lessened."""
        return lambda places, examples: self._seen(self.lessen(examples))

    def asked(self, values: Sequence[Any] | None, n: int) -> Tensor:
        """Return pictures: uint8 (C, h, w) each; raise ConfigError without any, and for another size."""
        if values is None or not len(values):
            raise ConfigError(
                f"this model makes pictures {self.result} and has none to begin with: use 'sfumato "
                f"{self.verb} RUN PICTURE …', or conditions={{'picture': pictures}} in Python."
            )
        for value in values:
            if tuple(value.shape) != self.shape:
                channels, height, width = self.shape
                raise ConfigError(
                    f"this model makes pictures of {width}×{height} pixels and {channels} channels "
                    f"{self.result}, and was given one of (channels, height, width) {tuple(value.shape)}."
                )
        stacked = torch.from_numpy(np.stack([np.asarray(value, np.uint8) for value in values]))
        return Cycled(self._seen(stacked)).to(n)

    def nothing(self, n: int) -> Tensor:
        """Return grey."""
        return self._seen(torch.full((n, *self.shape), 127, dtype=torch.uint8))

    def _seen(self, pictures: Tensor) -> Tensor:
        """Return pictures scaled, with a noise level of 0 behind them."""
        scaled = Pixels().to_model(pictures)
        return torch.cat([scaled, torch.zeros_like(scaled[:, :1])], 1)

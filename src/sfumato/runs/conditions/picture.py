"""A smaller picture, which is to be made larger.

In training it is the example itself, averaged over squares of pixels and, so that the model forgives what
another model errs, with noise added (`families.conditioning`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
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
    """A picture of shape (C, h, w); noise: the greatest share of noise added to it in training."""

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
        return PictureReader(self.shape)


def averaged(pictures: Tensor, side: int) -> Tensor:
    """Return pictures (B, C, H, W), averaged over squares of pixels to `side` pixels a side, rounded."""
    return F.avg_pool2d(pictures.float(), pictures.shape[-1] // side).round().to(torch.uint8)


@dataclass(frozen=True)
class PictureReader:
    """From pictures of bytes to what the network sees beside its own: float (B, C + 1, h, w).

    shape: (C, h, w).
    """

    shape: tuple[int, int, int]

    def of_split(self, split: Split) -> Lookup:
        """Return the examples themselves, made small."""
        return lambda places, examples: self._seen(averaged(examples, self.shape[2]))

    def asked(self, values: Sequence[Any] | None, n: int) -> Tensor:
        """Return pictures: uint8 (C, h, w) each; raise ConfigError without any, and for another size."""
        if values is None or not len(values):
            raise ConfigError(
                "this model makes pictures larger and has none to begin with: use 'sfumato upscale RUN "
                "PICTURE …', or pictures= in Python."
            )
        for value in values:
            if tuple(value.shape) != self.shape:
                channels, height, width = self.shape
                raise ConfigError(
                    f"this model makes pictures of {width}×{height} pixels and {channels} channels larger, "
                    f"and was given one of shape {tuple(value.shape)} (channels, height, width)."
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

"""Random views of every example: what they share is what an encoder of them can learn."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from sfumato.families.contrasting.augmentations.base import Augmentation

VIEWS = ("first", "second")


@dataclass(frozen=True)
class Views:
    """Augmentations that act one after another, in each view independently.

    pieces: the augmentations; names: of the views, one each.
    """

    pieces: tuple[Augmentation, ...]
    names: tuple[str, ...] = VIEWS

    def draw(self, rows: int, shape: tuple[int, ...], generator: Generator) -> dict[str, Tensor]:
        """Draw the numbers of every piece in every view: (rows, ...) each."""
        return {
            f"{view}.{place}": piece.draw(rows, shape, generator)
            for view in self.names
            for place, piece in enumerate(self.pieces)
        }

    @torch.no_grad()
    def __call__(self, x: Tensor, draws: Mapping[str, Tensor]) -> Tensor:
        """Return all first views of examples x: (B, ...), then all second ones, …: (V·B, ...), as float32."""
        with torch.autocast(x.device.type, enabled=False):
            return torch.cat([self._view(x.float(), view, draws) for view in self.names])

    def _view(self, x: Tensor, view: str, draws: Mapping[str, Tensor]) -> Tensor:
        for place, piece in enumerate(self.pieces):
            x = piece(x, draws[f"{view}.{place}"])
        return x

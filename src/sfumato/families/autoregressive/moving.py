"""Pictures moved by a few pixels in training, where the network is told by how much (Jun et al. 2020).

    max E over moves m of log p(m(x) | m),     p(x) = p(x | not moved)

("Distribution augmentation for generative modeling", equation 2.) A few hundred pictures are learned by heart
before they are understood; moved ones are not so soon. A model that is told of the move is not asked to make
moved pictures: whoever says nothing of it means none, so sampling and likelihoods know nothing of all this.
"""

from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional as F

from sfumato.condition import Condition
from sfumato.errors import ConfigError
from sfumato.nets.conditions import Kind, Labels

MOVED = "moved"
SHARE = 0.75
"""The share of examples that are moved, if only by nothing."""


class Moving:
    """Moves by up to `reach` pixels each way; 0 for none."""

    def __init__(self, reach: int) -> None:
        if reach < 0:
            raise ConfigError(f"moved is how many pixels pictures are moved in training, not {reach}")
        self.reach = reach

    @property
    def count(self) -> int:
        """How many moves there are."""
        return (2 * self.reach + 1) ** 2

    def kinds(self) -> dict[str, Kind]:
        """Return what the network must know to be told of a move."""
        return {MOVED: Labels(self.count)} if self.reach else {}

    def draw(self, rows: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Draw the move of each row, −1 for none: int64 (B,)."""
        if not self.reach:
            return {}
        moves = torch.randint(self.count, (rows,), generator=generator)
        return {MOVED: moves.where(torch.rand(rows, generator=generator) < SHARE, -1)}

    def __call__(self, x: Tensor, condition: Condition | None, moves: Tensor) -> tuple[Tensor, Condition]:
        """Return x: (B, C, H, W) moved, edges repeated, and the condition that says so."""
        side, reach = 2 * self.reach + 1, self.reach
        wide = F.pad(x, (reach, reach, reach, reach), mode="replicate")
        height, width = x.shape[2:]
        moved = x.clone()
        for move in range(self.count):
            rows, (down, right) = moves == move, divmod(move, side)
            moved[rows] = wide[rows, :, down : down + height, right : right + width]
        told = Condition.of(**{MOVED: moves.clamp(min=0)}).drop(moves < 0)
        if condition is None:
            return moved, told
        values, dropped = {**condition.values, **told.values}, {**condition.dropped, **told.dropped}
        return moved, replace(condition, values=values, dropped=dropped)

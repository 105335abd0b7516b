"""What a sample is asked to be: a small mapping of named tensors and a mask of the rows that are dropped.

Training for classifier-free guidance drops conditions at random (Ho & Salimans 2022, algorithm 1) and
guidance asks once with and once without. Both use the same mask, so a dropped row means the same thing
in training and in sampling: the network sees its learned "no condition" embedding.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True)
class Condition:
    """Named conditions of a batch.

    values: name -> (B, ...), for example `label`: (B,) of int64;
    dropped: (B,) of bool, true where the row's conditions are hidden from the network.
    """

    values: dict[str, Tensor]
    dropped: Tensor

    @classmethod
    def of(cls, **values: Tensor) -> "Condition":
        """Build a condition of which no row is dropped, such as `Condition.of(label=labels)`."""
        first = next(iter(values.values()))
        return cls(values, torch.zeros(len(first), dtype=torch.bool, device=first.device))

    def __len__(self) -> int:
        return len(self.dropped)

    def __getitem__(self, rows: slice | Tensor) -> "Condition":
        return Condition({name: value[rows] for name, value in self.values.items()}, self.dropped[rows])

    def drop(self, rows: Tensor) -> "Condition":
        """Hide the conditions of `rows`: (B,) of bool, beside those hidden already."""
        return replace(self, dropped=self.dropped | rows)

    def drop_all(self) -> "Condition":
        """Hide every row's condition: the unconditional question."""
        return replace(self, dropped=torch.ones_like(self.dropped))

    def to(self, device: torch.device | str) -> "Condition":
        """Move to a device."""
        moved = {name: value.to(device) for name, value in self.values.items()}
        return Condition(moved, self.dropped.to(device))

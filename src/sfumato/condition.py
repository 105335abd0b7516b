"""What a sample is asked to be: a small mapping of named tensors, and for each the rows that do not show it.

Training for classifier-free guidance hides conditions at random (Ho & Salimans 2022, algorithm 1) and
guidance asks with them and without. Both use the same masks, so a hidden condition means the same thing in
training and in sampling: the network sees its learned "not told".
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

Named = Mapping[str, Tensor]
"""Tensors of a batch by the name of a condition: (B, ...)."""


@dataclass(frozen=True)
class Condition:
    """Named conditions of a batch.

    values: name -> (B, ...), such as `label`: (B,) of int64 or `text`: (B, L) of tokens;
    dropped: name -> (B,) of bool, true where that condition is hidden from the network;
    instead: name -> (B, ...), what guidance is to lead away from, where that is not the absence of the
    condition: negative prompts; always: names of conditions that are told to the unconditional model too,
    such as the picture that is to be made larger.
    """

    values: Named
    dropped: Named
    instead: Named = field(default_factory=dict)
    always: frozenset[str] = frozenset()

    @classmethod
    def of(cls, **values: Tensor) -> "Condition":
        """Build a condition of which nothing is hidden, such as `Condition.of(label=labels)`."""
        shown = {
            name: torch.zeros(len(value), dtype=torch.bool, device=value.device)
            for name, value in values.items()
        }
        return cls(values, shown)

    def __len__(self) -> int:
        return len(next(iter(self.dropped.values())))

    def __getitem__(self, rows: slice | Tensor) -> "Condition":
        return self.map(lambda value: value[rows])

    def map(self, change: Callable[[Tensor], Tensor]) -> "Condition":
        """Return the condition with every tensor changed alike."""
        parts = (self.values, self.dropped, self.instead)
        values, dropped, instead = ({name: change(value) for name, value in part.items()} for part in parts)
        return Condition(values, dropped, instead, self.always)

    @property
    def names(self) -> tuple[str, ...]:
        """The conditions that can be hidden."""
        return tuple(name for name in self.values if name not in self.always)

    def drop(self, rows: Tensor, names: Iterable[str] | None = None) -> "Condition":
        """Hide conditions of `rows`, (B,) of bool, beside what is hidden already; names: all by default."""
        chosen = set(self.names if names is None else names) - self.always
        hidden = {name: mask | rows if name in chosen else mask for name, mask in self.dropped.items()}
        return replace(self, dropped=hidden)

    def drop_all(self) -> "Condition":
        """Hide every row's conditions: the unconditional question."""
        return replace(self, instead={}).without(self.names)

    def without(self, names: Iterable[str]) -> "Condition":
        """Return what guidance by the conditions `names` leads away from: they are hidden, or replaced."""
        chosen = set(names) - self.always
        # A stand-in is told to every row, also to those that were asked for nothing.
        replaced = chosen & self.instead.keys()
        hidden = {
            name: torch.full_like(mask, name not in replaced) if name in chosen else mask
            for name, mask in self.dropped.items()
        }
        stand_ins = {name: value for name, value in self.instead.items() if name in chosen}
        left = {name: value for name, value in self.instead.items() if name not in chosen}
        return replace(self, values={**self.values, **stand_ins}, dropped=hidden, instead=left)

    def to(self, device: torch.device | str) -> "Condition":
        """Move to a device."""
        return self.map(lambda value: value.to(device))


def joined(conditions: Sequence[Condition]) -> Condition:
    """Return one condition of all rows, one after another; all have the same names."""
    first = conditions[0]
    return replace(
        first,
        values={name: torch.cat([each.values[name] for each in conditions]) for name in first.values},
        dropped={name: torch.cat([each.dropped[name] for each in conditions]) for name in first.dropped},
        instead={},
    )

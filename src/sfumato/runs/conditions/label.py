"""A class label, asked for by its name or number."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sfumato.data.dataset import Split
from sfumato.errors import ConfigError, DataError, nearest
from sfumato.nets.conditions import Labels
from sfumato.runs.conditions.agreements import Lookup


@dataclass(frozen=True)
class LabelCondition:
    """One of the data's classes; classes: their names, in order."""

    classes: tuple[str, ...]
    always = False

    def __post_init__(self) -> None:
        if not self.classes:
            raise ConfigError("the condition 'label' needs classes, and this data has none: leave it out.")

    def kind(self) -> Labels:
        """Return how many there are."""
        return Labels(len(self.classes))

    def open(self, folder: Path, device: torch.device) -> "LabelReader":
        """Return the reader of names."""
        return LabelReader(self.classes)


@dataclass(frozen=True)
class LabelReader:
    """From names of classes to their places; classes: all names."""

    classes: tuple[str, ...]

    def of_split(self, split: Split) -> Lookup:
        """Return the labels of examples."""
        labels = split.labels
        if labels is None:
            raise DataError("the data has no labels, and this model is told them.")
        return lambda places, examples: labels[places]

    def asked(self, values: Sequence[Any] | None, n: int) -> Tensor:
        """Return the places of named classes, of all of them where none is named: int64 (n,)."""
        chosen = [self.place(value) for value in values] if values else list(range(len(self.classes)))
        return torch.tensor([chosen[place % len(chosen)] for place in range(n)])

    def nothing(self, n: int) -> Tensor:
        """Return the first class."""
        return torch.zeros(n, dtype=torch.int64)

    def place(self, label: str | int) -> int:
        """Return the place of a class, given its name or its number; raise ConfigError for another."""
        if str(label) in self.classes:
            return self.classes.index(str(label))
        if str(label).isdecimal() and int(label) < len(self.classes):
            return int(label)
        raise ConfigError(
            f"there is no class '{label}': {nearest(str(label), self.classes)} "
            f"Name a class, or give its number from 0 to {len(self.classes) - 1}."
        )

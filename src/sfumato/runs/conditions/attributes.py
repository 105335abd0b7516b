"""Several attributes at once, such as CelebA's forty: each asked for, asked away, or left open.

    1 where an example has an attribute, −1 where it has it not, 0 where nothing is said

In training every example leaves a random part of them open, any part being as likely, so that a person may
speak of one attribute or of all (`families.conditioning`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sfumato.data.dataset import Split
from sfumato.errors import ConfigError, DataError, nearest
from sfumato.nets.conditions import Vector
from sfumato.runs.conditions.agreements import Cycled, Lookup

NOT = "not "


@dataclass(frozen=True)
class AttributesCondition:
    """Which of `names` an example has."""

    names: tuple[str, ...]
    always = False

    def __post_init__(self) -> None:
        if not self.names:
            raise ConfigError(
                "the condition 'attributes' needs names, and this data has no attributes: leave it out."
            )

    def kind(self) -> Vector:
        """Return how many there are."""
        return Vector(len(self.names))

    def open(self, folder: Path, device: torch.device) -> "AttributesReader":
        """Return the reader of names."""
        return AttributesReader(self.names)


@dataclass(frozen=True)
class AttributesReader:
    """From "Smiling, not Male" to numbers; names: of all attributes."""

    names: tuple[str, ...]

    def of_split(self, split: Split) -> Lookup:
        """Return the attributes of examples: float (B, A) of 1 and −1."""
        known = split.attributes
        if known is None:
            raise DataError("the data has no attributes, and this model is told them.")
        return lambda places, examples: 2.0 * known[places] - 1

    def asked(self, values: Sequence[Any] | None, n: int) -> Tensor | None:
        """Return what texts such as "Smiling, not Male" ask for: (n, A); nothing where there is none."""
        if not values:
            return None
        return Cycled(torch.stack([self._row(str(text)) for text in values])).to(n)

    def nothing(self, n: int) -> Tensor:
        """Return attributes that are all left open."""
        return torch.zeros(n, len(self.names))

    def _row(self, text: str) -> Tensor:
        row = torch.zeros(len(self.names))
        for said in filter(None, (part.strip() for part in text.split(","))):
            absent = said.lower().startswith(NOT)
            row[self._place(said[len(NOT) :].strip() if absent else said)] = -1.0 if absent else 1.0
        return row

    def _place(self, name: str) -> int:
        alike = [place for place, known in enumerate(self.names) if known.lower() == name.lower()]
        if not alike:
            raise ConfigError(f"there is no attribute '{name}': {nearest(name, self.names)}")
        return alike[0]

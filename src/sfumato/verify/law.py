"""A finding: one law, asked of some pieces, with what was measured and what should have been.

Every check of `sfumato verify` ends as a `Finding`, so that a table, a JSON file, a progress bar and a test
read the same thing. A number that is not a number never passes.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor

from sfumato.errors import ConfigError

Values = Tensor | float | Sequence[Any]
"""A tensor, a number, or nested sequences of numbers."""


@dataclass(frozen=True)
class Finding:
    """What one law found.

    kind: the table it belongs to; pieces: kind of piece -> name in `verify.pieces`; law: what is claimed;
    measured passes within `tolerance` of `expected`; details: more numbers for the tables.
    """

    kind: str
    pieces: Mapping[str, str]
    law: str
    measured: float
    expected: float
    tolerance: float
    passed: bool
    details: Mapping[str, float] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; a number that is not finite becomes None."""
        plain = asdict(self)
        for place, keys in ((plain, ("measured", "expected", "tolerance")), (plain["details"], self.details)):
            place.update({key: place[key] if math.isfinite(place[key]) else None for key in keys})
        return plain

    def __str__(self) -> str:
        pieces = " ".join(self.pieces.values())
        wanted = f"{self.expected:.6g} ± {self.tolerance:.3g}"
        return f"{self.kind} {pieces}: {self.law}: measured {self.measured:.6g}, should be {wanted}"


@dataclass(frozen=True)
class Subject:
    """What a law is about; its methods make the findings of one kind about the same pieces."""

    kind: str
    pieces: Mapping[str, str]

    def within(
        self, law: str, measured: float, expected: float, tolerance: float, **details: float
    ) -> Finding:
        """Find `measured` within `tolerance` of `expected`."""
        passed = math.isfinite(measured) and abs(measured - expected) <= tolerance
        return Finding(self.kind, self.pieces, law, measured, expected, tolerance, passed, details)

    def below(self, law: str, measured: float, largest: float, **details: float) -> Finding:
        """Find a size of at most `largest`."""
        return self.within(law, measured, 0.0, largest, **details)

    def equal(
        self, law: str, value: Tensor | float, truth: Tensor | float, rounding: float = 1e-9
    ) -> Finding:
        """Find the two equal to `rounding`, relative where the truth is above 1."""
        return self.below(law, deviation(as_double(value), as_double(truth)), rounding)

    def holds(self, law: str, claim: bool) -> Finding:
        """Find a claim true."""
        return self.within(law, float(claim), 1.0, 0.0)

    def refused(self, law: str, build: Callable[[], object]) -> Finding:
        """Find that a bad setting is refused by an error the user can mend."""
        try:
            build()
        except ConfigError:
            return self.holds(law, True)
        return self.holds(law, False)


def as_double(value: Values) -> Tensor:
    """Return a float64 tensor."""
    return torch.as_tensor(value, dtype=torch.float64)


def deviation(value: Tensor, truth: Tensor) -> float:
    """Return the largest |value − truth|/max(1, |truth|), infinite where the shapes differ."""
    if value.shape != truth.shape:
        return math.inf
    worst = (value - truth).abs() / truth.abs().clamp(min=1)
    return float(torch.where(value == truth, 0.0, worst).max()) if worst.numel() else 0.0

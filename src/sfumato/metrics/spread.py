"""A figure measured several times: its mean and its standard deviation, never the best of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev


@dataclass(frozen=True)
class Spread:
    """The mean and the standard deviation (n − 1 in the denominator) of repeated measurements."""

    mean: float
    std: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Summarise two or more measurements."""
        return cls(fmean(values), stdev(values))

    def __str__(self) -> str:
        return f"{self.mean:.4g} ± {self.std:.2g}"

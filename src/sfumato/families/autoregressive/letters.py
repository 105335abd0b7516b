"""What the tokens of an example are: the levels of its values, or the tokens that it consists of.

A value in [−1, 1] becomes one of K levels, and each level the middle of what becomes it,

    k = round((x + 1)/2·(K − 1)),      x = 2·k/(K − 1) − 1,

which loses nothing of data that has no other values: bytes have 256 levels, black and white pictures 2.
"""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from sfumato.families.agreements import UNKNOWN
from sfumato.nets.causal.vocabulary import Names, Values, Vocabulary


class Letters(Protocol):
    """A way to write examples as tokens; unit: of what a token costs."""

    unit: str

    @property
    def vocabulary(self) -> Vocabulary:
        """The tokens there are."""
        ...

    def read(self, x: Tensor) -> Tensor:
        """Return the tokens of examples (B, …) as int64 (B, L)."""
        ...

    def write(self, tokens: Tensor) -> Tensor:
        """Return the examples that tokens (B, L) are, as far as they are known."""
        ...


@dataclass(frozen=True)
class Levels:
    """Levels of values in [−1, 1], channel after channel of each place.

    shape: of an example, (C, H, W); count: how many levels, at least 2.
    """

    shape: tuple[int, int, int]
    count: int
    unit = "bits per dimension"

    @property
    def vocabulary(self) -> Values:
        """Near levels are alike."""
        return Values(self.count)

    def read(self, x: Tensor) -> Tensor:
        """Return the levels of x: (B, C, H, W)."""
        levels = ((x.float() + 1) / 2 * (self.count - 1)).round().long()
        return levels.clamp(0, self.count - 1).permute(0, 2, 3, 1).flatten(1)

    def write(self, tokens: Tensor) -> Tensor:
        """Return pictures (B, C, H, W), grey where nothing is known."""
        channels, height, width = self.shape
        values = torch.where(tokens == UNKNOWN, 0.0, tokens.float() * (2 / (self.count - 1)) - 1)
        return values.unflatten(1, (height, width, channels)).permute(0, 3, 1, 2).contiguous()


@dataclass(frozen=True)
class Buckets:
    """Numbers of a vector in K buckets of equal width from −reach to reach, the outer two of which are open.

    length: of a vector; count: K, at least 2; reach: above 0.
    """

    length: int
    count: int
    reach: float
    unit = "bits a number"

    @property
    def vocabulary(self) -> Values:
        """Near buckets are alike."""
        return Values(self.count)

    def read(self, x: Tensor) -> Tensor:
        """Return the buckets of x: (B, D)."""
        share = (x.float() + self.reach) / (2 * self.reach)
        return (share * self.count).floor().clamp(0, self.count - 1).long()

    def write(self, tokens: Tensor) -> Tensor:
        """Return the middle of each bucket, 0 where none is known: (B, D)."""
        middle = ((tokens.float() + 0.5) * (2 / self.count) - 1) * self.reach
        return middle.where(tokens != UNKNOWN, 0.0)


@dataclass(frozen=True)
class Tokens:
    """Examples that are tokens already, of so many."""

    count: int
    unit = "bits a token"

    @property
    def vocabulary(self) -> Names:
        """The numbers of codes in a book say nothing of them."""
        return Names(self.count)

    def read(self, x: Tensor) -> Tensor:
        """Return x."""
        return x.long()

    def write(self, tokens: Tensor) -> Tensor:
        """Return the tokens."""
        return tokens

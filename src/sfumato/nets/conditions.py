"""How a network is told what its picture is to be.

Every condition has a kind, which makes the module that reads it. What a module says is a vector for the whole
picture, which is added to the level's embedding, and perhaps words besides, at which attention may look one
by one. Where a condition is hidden, its module says one learned "not told" instead.

A picture is a condition of another sort: it is shown as it is, as more channels beside the noisy ones
(Saharia et al. 2022, "Image super-resolution via iterative refinement"). Its last channel says how much noise
was added to it ("conditioning augmentation", Ho et al. 2022); hidden, it is all zeros.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sfumato.condition import Condition
from sfumato.nets.text import PADDING, TextTransformer, Words

ATTRIBUTES, EMBEDDING, PICTURE, TEXT = "attributes", "embedding", "picture", "text"


class Said(NamedTuple):
    """What a condition says: whole: (B, W), of the whole picture; words: (B, L, W) for attention, or None."""

    whole: Tensor
    words: Words | None = None


class Kind(Protocol):
    """What a network must know of a condition to be told it.

    words: the width of its words, 0 for none; channels: the channels it adds to the picture, 0 for none.
    """

    words: int
    channels: int

    def reader(self, name: str, width: int) -> nn.Module:
        """Return the module (condition, rows) -> Said of the condition `name`, wholes of `width`."""
        ...


class Whole(nn.Module):
    """A condition that is one vector, embedded by `embed`: (B, ...) -> (B, width)."""

    def __init__(self, name: str, embed: nn.Module, width: int) -> None:
        super().__init__()
        self.name, self.embed = name, embed
        self.not_told = nn.Parameter(torch.zeros(width))

    def forward(self, condition: Condition | None, rows: int) -> Said:
        """Return (B, width) for a batch of `rows`."""
        if condition is None or self.name not in condition.values:
            return Said(self.not_told.expand(rows, -1))
        said = self.embed(condition.values[self.name])
        return Said(torch.where(condition.dropped[self.name][:, None], self.not_told, said))


@dataclass(frozen=True)
class Labels:
    """One of so many classes, as int64 (B,)."""

    count: int
    words = 0
    channels = 0

    def reader(self, name: str, width: int) -> nn.Module:
        """Return a vector a class; they start far apart, as modulation could not tell zeros apart."""
        return Whole(name, nn.Embedding(self.count, width), width)


@dataclass(frozen=True)
class Vector:
    """A vector of `width` numbers of about unit size, as float (B, width): an embedding, or attributes."""

    width: int
    words = 0
    channels = 0

    def reader(self, name: str, width: int) -> nn.Module:
        """Return a perceptron of one hidden layer."""
        layers = nn.Sequential(nn.Linear(self.width, width), nn.SiLU(), nn.Linear(width, width))
        return Whole(name, layers, width)


@dataclass(frozen=True)
class Text:
    """A sentence, as tokens int64 (B, length): read by a transformer that is trained with the network.

    vocabulary: how many tokens; width: of its words; layers: of the transformer.
    """

    vocabulary: int
    length: int
    width: int = 128
    layers: int = 2
    channels = 0

    @property
    def words(self) -> int:
        """The width of its words."""
        return self.width

    def reader(self, name: str, width: int) -> nn.Module:
        """Return the transformer and what brings its whole to `width`."""
        return Sentence(name, self, width)


class Sentence(nn.Module):
    """A condition that is a sentence: a whole, and words to look at; hidden, it has no words."""

    def __init__(self, name: str, kind: Text, width: int) -> None:
        super().__init__()
        self.name, self.length = name, kind.length
        self.read = TextTransformer(kind.vocabulary, kind.length, kind.width, kind.layers)
        self.project = nn.Linear(kind.width, width)
        self.not_told = nn.Parameter(torch.zeros(width))

    def forward(self, condition: Condition | None, rows: int) -> Said:
        """Return what a batch of `rows` is told: (B, width) and words (B, length, ·)."""
        if condition is None or self.name not in condition.values:
            # Read as padding, so that untold rows cost and say the same as hidden ones, to the last bit.
            device = self.not_told.device
            tokens = torch.full((rows, self.length), PADDING, device=device)
            dropped = torch.ones(rows, dtype=torch.bool, device=device)
        else:
            tokens, dropped = condition.values[self.name], condition.dropped[self.name]
        words = self.read(tokens.masked_fill(dropped[:, None], PADDING))
        whole = torch.where(dropped[:, None], self.not_told, self.project(words.whole))
        return Said(whole, words)


@dataclass(frozen=True)
class Picture:
    """A picture of `colours` channels and its noise level, as float (B, colours + 1, h, w)."""

    colours: int
    words = 0

    @property
    def channels(self) -> int:
        """Its colours and its noise level."""
        return self.colours + 1

    def reader(self, name: str, width: int) -> nn.Module:
        """Return a module that says nothing: a picture is shown, see `shown_beside`."""
        return Silent(width)


class Silent(nn.Module):
    """What a condition says that is told otherwise: zeros."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    def forward(self, condition: Condition | None, rows: int) -> Said:
        """Return zeros: (rows, width)."""
        return Said(torch.zeros(1, self.width).expand(rows, -1))


Kinds = Mapping[str, Kind]
"""The conditions of a network, by name."""


class Told(nn.Module):
    """All conditions of a network; `width`: of what they say of the whole picture together."""

    def __init__(self, kinds: Kinds, width: int) -> None:
        super().__init__()
        self.width = width
        self.words = max((kind.words for kind in kinds.values()), default=0)
        self.pictured = sum(kind.channels for kind in kinds.values())
        self.channels = self.pictured + (2 if self.words else 0)
        self.readers = nn.ModuleDict({name: kind.reader(name, width) for name, kind in kinds.items()})

    def forward(self, level: Tensor, condition: Condition | None) -> Said:
        """Return the sum of `level`: (B, width) and of all wholes, and the words of the one that has any."""
        whole, words = level, None
        for reader in self.readers.values():
            said = reader(condition, len(level))
            whole = whole + said.whole.to(level.device)
            words = words if said.words is None else said.words
        return Said(whole, words)

    def shown_beside(self, x: Tensor, condition: Condition | None) -> Tensor:
        """Return x: (B, C, H, W) with the channels that are shown behind it.

        They are those of a picture condition, brought to its size, and where there are words, each pixel's
        place: sentences speak of left and right, and convolutions cannot tell (Liu et al. 2018, "CoordConv").
        """
        if self.pictured:
            x = torch.cat([x, self._picture(x, condition)], 1)
        return torch.cat([x, places_like(x)], 1) if self.words else x

    def _picture(self, x: Tensor, condition: Condition | None) -> Tensor:
        if condition is None or PICTURE not in condition.values:
            return x.new_zeros(len(x), self.pictured, *x.shape[2:])
        beside = F.interpolate(condition.values[PICTURE].to(x.dtype), x.shape[2:], mode="bilinear")
        return beside.masked_fill(condition.dropped[PICTURE][:, None, None, None], 0.0)


def places_like(x: Tensor) -> Tensor:
    """Return the place of each pixel of x: (B, C, H, W), across and down, in [−1, 1]: (B, 2, H, W)."""
    down, across = (torch.linspace(-1, 1, side, device=x.device, dtype=x.dtype) for side in x.shape[2:])
    return torch.stack(torch.meshgrid(across, down, indexing="xy")).expand(len(x), -1, -1, -1)

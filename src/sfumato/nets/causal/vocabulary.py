"""How a network takes and gives tokens: as names, or as values on a line, of which near ones are alike.

A token is taken by an embedding e_v and given by a logit. *Names* have nothing in common, each has its own:

    e_v = n_v,          logit_v = w_v·h + b_v,          n_v random, w and b from 0

*Values*, such as the levels of a pixel, begin with what they have in common: K waves over their line,

    c_k(v) = cos(π·k·(v + ½)/V)/k
    e_v ∝ Σ_k c_k(v)·a_k + n_v/10,          logit_v = w_v·h + b_v + Σ_k c_k(v)·u_k·h

with random a and n, and w, b and u from 0. All is learned from there, so nothing is out of reach; but what a
value teaches, its neighbours learn with it. Few pictures teach more so (the same aim by other means: the
logistic bins of Salimans et al. 2017, "PixelCNN++", section 2.1).
"""

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sfumato.nets.blocks import zeroed

WAVES = 8
"""The most waves that values have in common."""
OWN = 0.1
"""The share of its own in a value's embedding at first."""


class Vocabulary(Protocol):
    """The tokens there are."""

    @property
    def count(self) -> int:
        """How many."""
        ...

    def tables(self, views: int, width: int) -> Tensor:
        """Return embeddings to begin with, of deviation 1: (views, V, W)."""
        ...

    def head(self, width: int) -> nn.Module:
        """Return what maps (…, W) to logits (…, V), 0 to begin with."""
        ...


@dataclass(frozen=True)
class Names:
    """Tokens that have nothing in common; count: V."""

    count: int

    def tables(self, views: int, width: int) -> Tensor:
        """Return random embeddings."""
        return nn.init.normal_(torch.empty(views, self.count, width))

    def head(self, width: int) -> nn.Module:
        """Return a product with a row a token."""
        return zeroed(nn.Linear(width, self.count))


@dataclass(frozen=True)
class Values:
    """Values on a line, at equal distances; count: V."""

    count: int

    def waves(self) -> Tensor:
        """Return c: (V, K), K being `WAVES` or, of fewer values, all there are."""
        number = torch.arange(1, min(self.count, WAVES + 1))
        return torch.cos(math.pi / self.count * (torch.arange(self.count)[:, None] + 0.5) * number) / number

    def tables(self, views: int, width: int) -> Tensor:
        """Return random embeddings, near ones of near values."""
        waves = self.waves()
        common = waves @ nn.init.normal_(torch.empty(views, waves.shape[1], width))
        return common / common.std() + nn.init.normal_(torch.empty_like(common), std=OWN)

    def head(self, width: int) -> nn.Module:
        """Return a product with a row a value, and what the values share."""
        return WavyHead(width, self.waves())


class WavyHead(nn.Module):
    """Logits of values: of each by itself, and along waves c: (V, K)."""

    waves: Tensor

    def __init__(self, width: int, waves: Tensor) -> None:
        super().__init__()
        self.own = zeroed(nn.Linear(width, len(waves)))
        self.common = zeroed(nn.Linear(width, waves.shape[1], bias=False))
        self.register_buffer("waves", waves, persistent=False)

    def forward(self, h: Tensor) -> Tensor:
        """Map h: (…, W) to (…, V)."""
        own: Tensor = self.own(h)
        return own + F.linear(self.common(h), self.waves.to(own.dtype))

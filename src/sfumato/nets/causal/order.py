"""In which order tokens are made, and what a place is shown of those made before.

An order cuts the L tokens of a picture into groups. Groups are made one after another, and the tokens of one
group at once:

    p(x) = Π_g p(x_g | x_<g),      p(x_g | x_<g) = Π_{i in g} p(x_i | x_<g)

In *raster* order each token is a group of its own, so p is an exact likelihood (van den Oord et al. 2016,
"Pixel recurrent neural networks", equation 1). In the order of *scales* a group is a whole map, from 1×1 up
(Tian et al. 2024, "Visual autoregressive modeling", equation 4).

What a place knows reaches it in two ways: through attention to the places of its own and earlier groups, and
by what it is *shown*, a sum of embeddings e of earlier tokens. Neither way leads to a token of its own group
or a later one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, wraps
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

UNKNOWN = -1
"""What stands for a token that is not known yet."""


def _remembered(compute: Callable[[Any], Tensor]) -> "cached_property[Tensor]":
    """Work a tensor out once, and as one that gradients may meet, even where sampling asks for it first."""

    @wraps(compute)
    def outside(self: Any) -> Tensor:
        with torch.inference_mode(False):
            return compute(self)

    return cached_property(outside)


class Order(Protocol):
    """An order of L tokens."""

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many tokens each group has."""
        ...

    @property
    def axes(self) -> tuple[int, ...]:
        """How many coordinates of each sort there are."""
        ...

    @property
    def views(self) -> int:
        """How many embeddings of earlier tokens a place is shown."""
        ...

    @property
    def pauses(self) -> tuple[int, ...]:
        """The groups after which there is something to see."""
        ...

    @property
    def coordinates(self) -> Tensor:
        """Where each place lies, int64 (L, axes)."""
        ...

    def shown(self, tokens: Tensor, tables: Tensor, places: slice) -> Tensor:
        """Return what `places` are shown of tokens (B, L), by tables (views, V, W): (B, places, W).

        A token that is `UNKNOWN` shows nothing, and none is looked at that is not of an earlier group.
        """
        ...

    def covered(self, mask: Tensor) -> Tensor:
        """Return the share of each place's area that a mask of the picture, (1, H, W), covers: (L,)."""
        ...


def spans(order: Order) -> list[slice]:
    """Return the places of each group."""
    ends = torch.tensor(order.sizes).cumsum(0).tolist()
    return [slice(end - size, end) for size, end in zip(order.sizes, ends, strict=True)]


def may_look(order: Order, device: torch.device) -> Tensor:
    """Return whether place i may attend to place j, whose group must not be later: bool (L, L)."""
    sizes = torch.tensor(order.sizes, device=device)
    group = torch.arange(len(sizes), device=device).repeat_interleave(sizes)
    return group[:, None] >= group[None]


def embedded(tokens: Tensor, table: Tensor) -> Tensor:
    """Return the embeddings of tokens (…) by a table (V, W), zeros where one is `UNKNOWN`: (…, W)."""
    nothing = table.new_zeros(1, table.shape[1])
    return F.embedding(tokens.where(tokens != UNKNOWN, len(table)), torch.cat([table, nothing]))


REACH = 2
"""Rows up and columns to either side that a place in raster order is shown."""


@dataclass(frozen=True)
class Raster:
    """Row after row, in each from left to right, at each place channel after channel.

    A place is shown the token before its own, its neighbours that are known by then, and the channels of its
    own place before its own. Were the token before left out where a row begins, no place could know it yet.
    """

    rows: int
    columns: int
    channels: int = 1

    @property
    def sizes(self) -> tuple[int, ...]:
        """One token each."""
        return (1,) * (self.rows * self.columns * self.channels)

    @property
    def axes(self) -> tuple[int, ...]:
        """Rows, columns and channels."""
        return (self.rows, self.columns, self.channels)

    @property
    def views(self) -> int:
        """The token before, the neighbours and the channels."""
        return 1 + len(self._offsets)

    @property
    def pauses(self) -> tuple[int, ...]:
        """The ends of rows; of a single row, every place."""
        step = self.columns * self.channels if self.rows > 1 else 1
        return tuple(range(step - 1, len(self.sizes), step))

    @property
    def _offsets(self) -> list[tuple[int, int, int]]:
        """Rows down, columns to the right and channels on of what is shown besides the token before."""
        across, down = range(-REACH, REACH + 1), range(-REACH, 0) if self.rows > 1 else ()
        above = [(back, right, 0) for back in down for right in across]
        # Of one channel the place to the left holds the token before.
        left = [(0, -back, 0) for back in range(1 if self.channels > 1 else 2, REACH + 1)]
        return above + left + [(0, 0, -back) for back in range(2, self.channels)]

    @_remembered
    def coordinates(self) -> Tensor:
        """Row, column and channel of each place."""
        return torch.cartesian_prod(*(torch.arange(size) for size in self.axes)).view(-1, 3)

    @_remembered
    def _sources(self) -> Tensor:
        """The place that each view shows to each place, int64 (views, L), −1 where that lies outside."""
        at = self.coordinates
        moved = at + torch.tensor(self._offsets, dtype=torch.int64).view(-1, 1, 3)
        inside = ((moved >= 0) & (moved < torch.tensor(self.axes))).all(-1)
        strides = torch.tensor([self.columns * self.channels, self.channels, 1])
        before = torch.arange(len(at))[None] - 1
        return torch.cat([before, (moved * strides).sum(-1).where(inside, -1)])

    def shown(self, tokens: Tensor, tables: Tensor, places: slice) -> Tensor:
        """Return the sum of what the neighbours show, each by its own table."""
        behind = torch.cat([tokens, torch.full_like(tokens[:, :1], UNKNOWN)], 1)  # place −1 is outside
        seen = tables.new_zeros(())
        for source, table in zip(self._sources.to(tokens.device), tables, strict=True):
            seen = seen + embedded(behind[:, source[places]], table)
        return seen

    def covered(self, mask: Tensor) -> Tensor:
        """Return the mask in the size of the places, all channels of one alike."""
        share = F.adaptive_avg_pool2d(mask.float(), (self.rows, self.columns))
        return share.flatten().repeat_interleave(self.channels)


@dataclass(frozen=True)
class Scales:
    """Map after map, each of them at once: maps are (h, w), the coarsest first.

    A place is shown the picture so far at the size of its own map: the sum of all coarser maps' embeddings,
    each enlarged to the finest size, brought to its own. And the map before its own, once more by itself.
    """

    maps: tuple[tuple[int, int], ...]
    views = 2

    @property
    def sizes(self) -> tuple[int, ...]:
        """The places of each map."""
        return tuple(height * width for height, width in self.maps)

    @property
    def axes(self) -> tuple[int, ...]:
        """Maps, and the rows and columns of the finest."""
        return (len(self.maps), *self.maps[-1])

    @property
    def pauses(self) -> tuple[int, ...]:
        """Every map."""
        return tuple(range(len(self.maps)))

    @_remembered
    def coordinates(self) -> Tensor:
        """The map of each place, and the row and column of the finest on which its middle lies."""
        rows, columns = self.maps[-1]
        found = []
        for number, (height, width) in enumerate(self.maps):
            down = ((torch.arange(height) + 0.5) * rows / height).long()
            right = ((torch.arange(width) + 0.5) * columns / width).long()
            found.append(torch.cartesian_prod(torch.tensor([number]), down, right))
        return torch.cat(found)

    @_remembered
    def _shares(self) -> Tensor:
        """The share of each earlier place in what each place is shown, by view: (views, L, L)."""
        return torch.stack([self._sum_of(len(self.maps)), self._sum_of(1)])

    def _sum_of(self, last: int) -> Tensor:
        """Return the shares (L, L) of the `last` maps before each place's own."""
        rows = [
            torch.cat(
                [
                    _resized(of, self.maps[-1], to) * (0 < number - place <= last)
                    for place, of in enumerate(self.maps)
                ],
                1,
            )
            for number, to in enumerate(self.maps)
        ]
        return torch.cat(rows)

    def shown(self, tokens: Tensor, tables: Tensor, places: slice) -> Tensor:
        """Return the sums over coarser maps, and over the last of them."""
        shares, known = self._shares[:, places, : places.stop].to(tables), tokens[:, : places.stop]
        seen = [share @ embedded(known, table) for share, table in zip(shares, tables, strict=True)]
        return torch.stack(seen).sum(0)

    def covered(self, mask: Tensor) -> Tensor:
        """Return the mask in the size of each map."""
        return torch.cat([F.adaptive_avg_pool2d(mask.float(), size).flatten() for size in self.maps])


def _resized(of: tuple[int, int], through: tuple[int, int], to: tuple[int, int]) -> Tensor:
    """Return the matrix (to, of) that enlarges a map smoothly to `through` and averages it down to `to`."""
    maps = torch.eye(of[0] * of[1]).unflatten(1, of)[:, None]
    large = F.interpolate(maps, through, mode="bilinear", align_corners=False)
    return F.adaptive_avg_pool2d(large, to).flatten(1).T

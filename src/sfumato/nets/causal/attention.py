"""Attention to what came before: to a whole sequence through a mask, or to what was kept of earlier groups.

    look(q, k, v) = softmax(q·kᵀ/√d)·v    over the places that each may look at

A layer hands over queries, keys and values of some places and is told what they find. In training these are
all places at once, and a mask hides later groups. In sampling they are those of one group, and its keys and
values join those of the groups before, which are kept: every place is worked out once, so the work of a whole
picture is that of one pass (Pope et al. 2023, "Efficiently scaling transformer inference", section 2.1).
"""

from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F


class Attention(Protocol):
    """How the places of one layer look at others."""

    def __call__(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Return what places find, by their queries, keys and values, (B, heads, n, d) each: the same."""
        ...


class Masked:
    """Attention of all places at once; allowed: bool (L, L). Written as two products, see `nets.blocks`."""

    def __init__(self, allowed: Tensor) -> None:
        self._allowed = allowed

    def __call__(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Look at what is allowed."""
        scores = (q * q.shape[-1] ** -0.5) @ k.mT
        return scores.masked_fill(~self._allowed, torch.finfo(scores.dtype).min).softmax(-1) @ v


class Kept:
    """Attention group by group, to all groups so far; length: L, of the whole sequence.

    No gradient is asked for here, and forward the fused attention is the faster one, the more so the fewer
    places ask at once.
    """

    def __init__(self, length: int) -> None:
        self._length, self._known = length, 0
        self._keys: Tensor | None = None
        self._values: Tensor | None = None

    def __call__(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Keep what the new places say, and look at all that is kept."""
        if self._keys is None or self._values is None:
            room = (*k.shape[:2], self._length, k.shape[3])
            self._keys, self._values = k.new_empty(room), v.new_empty(room)
        known = self._known + k.shape[2]
        new = slice(self._known, known)
        self._keys[:, :, new], self._values[:, :, new] = k, v
        self._known = known
        return F.scaled_dot_product_attention(q, self._keys[:, :, :known], self._values[:, :, :known])

"""The order of examples: every epoch a fresh permutation that depends on (seed, epoch) alone.

The batch of any step can be computed from nothing, so a resumed run sees what an uninterrupted one would.
"""

from functools import lru_cache

import torch
from torch import Tensor

from sfumato.randomness import generator


class Order:
    """Batches of indices into `size` examples; batches run on across the end of an epoch."""

    def __init__(self, size: int, batch: int, seed: int) -> None:
        self.size, self.batch, self.seed = size, batch, seed
        self._epoch = lru_cache(maxsize=2)(self._permutation)

    def _permutation(self, epoch: int) -> Tensor:
        return torch.randperm(self.size, generator=generator(self.seed, "order", epoch))

    def indices(self, step: int) -> Tensor:
        """Return the indices of batch number `step` (from 0): (batch,) of int64."""
        position, rest, parts = step * self.batch, self.batch, []
        while rest > 0:
            epoch, offset = divmod(position, self.size)
            part = self._epoch(epoch)[offset : offset + rest]
            parts.append(part)
            position, rest = position + len(part), rest - len(part)
        return torch.cat(parts)

"""The nearest training examples, and whether samples are copies of them.

Distances are Euclidean, in the data's own units: levels of 0 to 255 for pictures. A block of the training
split at a time is compared through |a − b|² = |a|² + |b|² − 2·a·b in float64, where the squares of bytes are
whole numbers and nothing is lost. The distance itself is then taken from the difference, so that a copy is at
exactly zero for floats too.

    memorisation ratio = median distance(sample → training) / median distance(held-out → training)

It is about 1 for samples as new as held-out examples, 0 for copies (after Meehan et al. 2020).
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from sfumato.data import Dataset
from sfumato.data.store import Store
from sfumato.randomness import generator

SUSPICIOUS = 0.5
BLOCK_BYTES = 64 * 2**20


@dataclass(frozen=True)
class Memorisation:
    """How near the first k samples lie to training examples.

    ratio: None where nothing was held out, or where held-out examples are themselves copies of training's;
    copies: samples equal to a training example in every value;
    indices, distances: of each sample's nearest training example, k of each.
    """

    ratio: float | None
    copies: int
    indices: tuple[int, ...]
    distances: tuple[float, ...]

    def warnings(self) -> tuple[str, ...]:
        """Return what a reader should know."""
        said = []
        if self.copies:
            said.append(
                f"{self.copies:,} of {len(self.indices):,} samples are exact copies of training examples."
            )
        if self.ratio is None:
            said.append(
                "Memorisation cannot be told: nothing is held out, or it repeats training examples itself."
            )
        elif self.ratio < SUSPICIOUS:
            said.append(
                f"The samples lie {self.ratio:.2g} times as far from training examples as held-out ones do: "
                "the model may be repeating what it was trained on."
            )
        return tuple(said)


def nearest(queries: Tensor, store: Store) -> tuple[Tensor, Tensor]:
    """Return the row in `store` of each query's nearest example, and its distance: int64 (Q,), float64 (Q,).

    queries: (Q, ...) of the shape of the store's examples. Memory is bounded, whatever the store's size.
    """
    wanted = queries.flatten(1).double()
    best = torch.full((len(wanted),), math.inf, dtype=torch.float64)
    rows = torch.zeros(len(wanted), dtype=torch.int64)
    for block in torch.arange(len(store)).split(_block(wanted)):
        known = store.take(block).flatten(1).double()
        # |query|² is the same for all candidates and is left out of the comparison.
        gaps, places = (known.square().sum(1) - 2 * wanted @ known.T).min(1)
        nearer = gaps < best
        best = torch.where(nearer, gaps, best)
        rows = torch.where(nearer, block[places], rows)
    differences = wanted - store.take(rows).flatten(1).double()
    return rows, differences.square().sum(1).sqrt()


def memorisation(samples: Tensor, dataset: Dataset, seed: int) -> Memorisation:
    """Compare samples: (k, ...) and as many held-out examples, drawn from `seed`, with the training split."""
    held_out = dataset.held_out
    drawn = torch.randperm(len(held_out), generator=generator(seed, "held-out neighbours"))[: len(samples)]
    # One pass over the training split serves both; a streamed split decodes every picture in it.
    rows, distances = nearest(torch.cat([samples, held_out.store.take(drawn)]), dataset.train.store)
    made, real = distances[: len(samples)], distances[len(samples) :]
    usual = float(real.median()) if len(real) else 0.0
    ratio = float(made.median()) / usual if usual > 0 else None
    return Memorisation(
        ratio, int((made == 0).sum()), tuple(rows[: len(samples)].tolist()), tuple(made.tolist())
    )


def _block(queries: Tensor) -> int:
    """Return how many examples keep a block, and its distances to all queries, within bounds."""
    count, width = queries.shape
    return max(1, BLOCK_BYTES // (8 * (width + count)))

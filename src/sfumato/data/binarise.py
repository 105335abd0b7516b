"""Grey pictures made black and white, once and for all: each pixel is white with its value's probability.

    P(white) = value/255

(Salakhutdinov & Murray 2008, section 5.) The draw is *static*: a model's likelihood of the test pictures is
one number only if everybody is asked about the same pictures, so the seed belongs to the figure.
"""

from dataclasses import replace

import torch
from torch import Tensor

from sfumato.data.dataset import Dataset, Split
from sfumato.data.store import MemoryStore, Store
from sfumato.errors import ConfigError
from sfumato.randomness import generator

_CHUNK = 4096


def binarised(dataset: Dataset, seed: int = 0) -> Dataset:
    """Return the data set with every pixel 0 or 255, drawn by `seed`.

    Raises ConfigError for other than grey pictures, and for a set that does not fit into memory.
    Both splits are drawn anew for another seed, which should be the one that the data was loaded with:
    `load_data` with `binarise` reads it alike again.
    """
    if not dataset.is_pictures or dataset.shape[0] != 1:
        raise ConfigError(
            f"only grey pictures can be made black and white, not examples of shape {dataset.shape}: "
            "read them with 1 channel."
        )
    if not all(split.store.in_memory for split in (dataset.train, dataset.held_out)):
        raise ConfigError(
            "pictures that do not fit into memory cannot be made black and white once and for all: read them "
            "with a smaller size, or a higher memory_limit."
        )
    return replace(
        dataset,
        name=f"{dataset.name}, black and white by seed {seed}",
        train=_binarised(dataset.train, seed, "binarised train"),
        held_out=_binarised(dataset.held_out, seed, "binarised held-out"),
        reading={**dataset.reading, "binarise": True, "seed": seed},
    )


def _binarised(split: Split, seed: int, purpose: str) -> Split:
    return replace(split, store=MemoryStore(_drawn(split.store, generator(seed, purpose))))


def _drawn(store: Store, randomness: torch.Generator) -> Tensor:
    """Return black and white pictures: (N, 1, H, W) of uint8, 0 or 255."""
    chunks = torch.arange(len(store)).split(_CHUNK)
    drawn = torch.empty(len(store), *store.shape, dtype=torch.uint8)
    for chunk in chunks:
        values = store.take(chunk)
        uniform = torch.rand(values.shape, generator=randomness)
        drawn[chunk] = 255 * (uniform * 255 < values).to(torch.uint8)
    return drawn

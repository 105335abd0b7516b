"""The nearest neighbours of an example in the space of embeddings, by the angle between them."""

import torch
from torch import Tensor
from torch.nn import functional as F

BLOCK = 1024
"""Questions compared at a time: a block and 60,000 embeddings give 240 MB of cosines."""


def similar(asked: Tensor, known: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return the `count` most similar rows of `known` to each of `asked`, and their cosines, falling.

    asked: (Q, D), known: (N, D) -> int64 (Q, count), float32 (Q, count); fewer where N is less. A row of
    `asked` that is in `known` is its own nearest.
    """
    directions = F.normalize(known.float(), dim=1)
    rows, cosines = [], []
    for block in asked.float().split(BLOCK):
        best = (F.normalize(block, dim=1) @ directions.T).topk(min(count, len(known)))
        rows.append(best.indices)
        cosines.append(best.values)
    return torch.cat(rows), torch.cat(cosines)

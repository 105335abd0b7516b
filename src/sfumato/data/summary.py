"""What is in a data set, as plain values that print and serialise."""

from typing import Any

import torch
from torch import Tensor

from sfumato.data.dataset import Dataset, Split


def describe(dataset: Dataset) -> dict[str, Any]:
    """Return name, source, counts, shape, classes with counts in both splits, what was skipped, and size.

    `bytes` counts examples as a model receives them; `kept` says whether they lie in memory.
    """
    train, held_out = dataset.train, dataset.held_out
    counts = zip(_counts(train, dataset), _counts(held_out, dataset), strict=True)
    return {
        "name": dataset.name,
        "source": dataset.source,
        "kind": "pictures" if dataset.is_pictures else "vectors",
        "shape": list(dataset.shape),
        "train": len(train),
        "held_out": len(held_out),
        "classes": {
            name: {"train": seen, "held_out": unseen}
            for name, (seen, unseen) in zip(dataset.classes, counts, strict=True)
        },
        "captions": train.captions is not None,
        "skipped": [{"name": item.name, "reason": item.reason} for item in dataset.skipped],
        "kept": "in memory" if train.store.in_memory else "streamed",
        "bytes": train.store.nbytes + held_out.store.nbytes,
        "content_hash": dataset.content_hash,
    }


def _counts(split: Split, dataset: Dataset) -> list[int]:
    labels = torch.empty(0, dtype=torch.int64) if split.labels is None else split.labels
    counts: Tensor = torch.bincount(labels, minlength=len(dataset.classes))
    return counts.tolist()

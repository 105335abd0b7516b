"""What is in a data set, as plain values that print and serialise."""

from typing import Any

import torch
from torch import Tensor

from sfumato.data.dataset import Dataset, Split


def describe(dataset: Dataset) -> dict[str, Any]:
    """Return name, source, shape, size, what was skipped, and how much there is of each in both splits.

    `bytes` counts examples as a model receives them; `kept` says whether they lie in memory.
    """
    train, held_out = dataset.train, dataset.held_out
    return {
        "name": dataset.name,
        "source": dataset.source,
        "kind": "pictures" if dataset.is_pictures else "vectors",
        "shape": list(dataset.shape),
        "train": len(train),
        "held_out": len(held_out),
        "classes": _counted(dataset.classes, _of_class(train, dataset), _of_class(held_out, dataset)),
        "attributes": _counted(dataset.attributes, _with_attribute(train), _with_attribute(held_out)),
        "captions": train.captions is not None,
        "skipped": [{"name": item.name, "reason": item.reason} for item in dataset.skipped],
        "kept": "in memory" if train.store.in_memory else "streamed",
        "bytes": train.store.nbytes + held_out.store.nbytes,
        "content_hash": dataset.content_hash,
    }


def _counted(names: tuple[str, ...], train: list[int], held_out: list[int]) -> dict[str, dict[str, int]]:
    counts = zip(names, train, held_out, strict=True)
    return {name: {"train": seen, "held_out": unseen} for name, seen, unseen in counts}


def _of_class(split: Split, dataset: Dataset) -> list[int]:
    labels = torch.empty(0, dtype=torch.int64) if split.labels is None else split.labels
    counts: Tensor = torch.bincount(labels, minlength=len(dataset.classes))
    return counts.tolist()


def _with_attribute(split: Split) -> list[int]:
    return [] if split.attributes is None else split.attributes.sum(0).tolist()

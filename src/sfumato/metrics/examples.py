"""What is asked of examples before they are scored, and where real ones come from."""

import torch
from torch import Tensor

from sfumato.data import Dataset
from sfumato.errors import DataError


def require_examples(examples: Tensor, shape: tuple[int, ...]) -> None:
    """Raise DataError unless `examples` is (N, *shape): bytes for pictures, finite floats for vectors."""
    found = tuple(examples.shape[1:])
    if found != tuple(shape):
        raise DataError(
            f"The samples have shape {_times(found)} but the data has shape {_times(shape)}: "
            "score samples of the same shape as the data."
        )
    if not len(examples):
        raise DataError("There are no samples to score: generate some first.")
    if len(shape) == 3 and examples.dtype != torch.uint8:
        raise DataError(f"Pictures are scored as uint8 from 0 to 255, but the samples are {examples.dtype}.")
    if len(shape) == 1 and not bool(examples.isfinite().all()):
        broken = int((~examples.isfinite()).any(1).sum())
        raise DataError(f"{broken:,} of {len(examples):,} samples hold values that are not finite numbers.")


def real_examples(dataset: Dataset, rows: Tensor) -> Tensor:
    """Return real examples at `rows`, int64 (B,): rows of held-out examples follow those of training ones."""
    first = len(dataset.train)
    trained = rows < first
    examples = dataset.train.store.take(rows[trained])
    whole = examples.new_empty((len(rows), *dataset.shape))
    whole[trained] = examples
    whole[~trained] = dataset.held_out.store.take(rows[~trained] - first)
    return whole


def real_count(dataset: Dataset) -> int:
    """Return the number of real examples in both splits."""
    return len(dataset.train) + len(dataset.held_out)


def _times(shape: tuple[int, ...]) -> str:
    return "×".join(str(size) for size in shape) if shape else "()"

"""The judge of vectors: coordinates are features, and the nearest training examples name the class."""

from typing import Any

import torch
from torch import Tensor

from sfumato.data import Dataset
from sfumato.metrics.examples import require_examples

NEIGHBOURS = 5


class VectorJudge:
    """Coordinates as features, and k nearest neighbours as a reader of classes.

    dataset: vectors (D,), with classes or without; the reader learns from its training split alone.
    """

    def __init__(self, dataset: Dataset) -> None:
        self.shape = dataset.shape
        self._reader = _reader(dataset)
        self.accuracy = self._accuracy(dataset)

    @property
    def name(self) -> str:
        """What it is, for a person."""
        return (
            "the coordinates themselves, read by nearest neighbours"
            if self._reader
            else "the coordinates themselves"
        )

    def features(self, examples: Tensor) -> Tensor:
        """Return the coordinates of `examples`, float32 (N, D), as they are: float64 (N, D)."""
        require_examples(examples, self.shape)
        return examples.double()

    def read(self, examples: Tensor) -> Tensor | None:
        """Return the class read for each of `examples`, float32 (N, D): int64 (N,); None without classes."""
        if self._reader is None:
            return None
        require_examples(examples, self.shape)
        return torch.from_numpy(self._reader.predict(examples.numpy())).long()

    def _accuracy(self, dataset: Dataset) -> float | None:
        held_out = dataset.held_out
        if self._reader is None or not len(held_out):
            return None
        examples, labels = held_out.batch(torch.arange(len(held_out)))
        assert labels is not None  # a data set with classes has labels
        return float(self._reader.score(examples.numpy(), labels.numpy()))


def _reader(dataset: Dataset) -> Any:
    """Fit scikit-learn's nearest neighbours; None where there are no classes to tell apart."""
    if len(dataset.classes) < 2:
        return None
    from sklearn.neighbors import KNeighborsClassifier

    examples, labels = dataset.train.batch(torch.arange(len(dataset.train)))
    assert labels is not None  # a data set with classes has labels
    reader = KNeighborsClassifier(n_neighbors=min(NEIGHBOURS, len(examples)))
    return reader.fit(examples.numpy(), labels.numpy())

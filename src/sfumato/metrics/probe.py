"""The linear probe: what can be read off embeddings by a straight line (Alain & Bengio 2016).

Logistic regression learns the labels of the training split from its embeddings, each coordinate standardised
there, and is asked about the held-out split. The encoder itself never sees a label. A figure means something
only beside two others, the same probe of an untrained encoder and of the examples' own values: much of a
small data set can be read off those, too.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sfumato.data.dataset import Dataset, Split
from sfumato.errors import DataError

CHUNK = 512
MOST_ROUNDS = 300
LEEWAY = 0.1
"""One over the penalty on squared weights, which matters where coordinates are many and examples few."""

Encode = Callable[[Tensor], Tensor | np.ndarray]
"""From examples as the data is, uint8 (B, C, H, W) or float32 (B, D), to embeddings (B, ...)."""


@dataclass(frozen=True)
class Probe:
    """What was read: the share of right answers in [0, 1].

    examples: how many held-out ones were asked about; learned_from: how many labels were shown before.
    """

    accuracy: float
    examples: int
    learned_from: int


def raw(examples: Tensor) -> Tensor:
    """Return the examples' own values as their embedding: (B, ...) -> (B, D)."""
    return examples.flatten(1).float()


def embeddings(encode: Encode, split: Split) -> Tensor:
    """Return the embeddings of all examples of a split, in order, found a chunk at a time: float32 (N, D)."""
    chunks = torch.arange(len(split)).split(CHUNK)
    return torch.cat([torch.as_tensor(encode(split.store.take(rows))).float().flatten(1) for rows in chunks])


def linear_probe(known: Tensor, labels: Tensor, asked: Tensor, answers: Tensor) -> Probe:
    """Learn to read `labels`, int64 (N,), off `known`: (N, D), and ask about `asked`: (M, D)."""
    from sklearn.linear_model import LogisticRegression

    if len(labels.unique()) < 2 or not len(answers):
        raise DataError("a linear probe needs labels of at least two classes, and examples held out.")
    mean, std = known.mean(0), known.std(0)
    # A coordinate that never varies says nothing, and stays at zero.
    std = torch.where(std > 1e-6 * mean.abs().clamp(min=1e-6), std, torch.inf)
    reader = LogisticRegression(C=LEEWAY, max_iter=MOST_ROUNDS)
    reader.fit(((known - mean) / std).numpy(), labels.numpy())
    right = reader.predict(((asked - mean) / std).numpy()) == answers.numpy()
    return Probe(float(right.mean()), len(answers), len(labels))


def probe(encode: Encode, dataset: Dataset) -> Probe:
    """Probe an encoder on a labelled data set: learn from the training split, ask about the held-out one.

    Raises DataError for data without labels or without held-out examples.
    """
    train, held_out = dataset.train, dataset.held_out
    if train.labels is None or held_out.labels is None or not len(held_out):
        raise DataError(f"'{dataset.name}' has no labels and held-out examples to probe an encoder with.")
    return linear_probe(
        embeddings(encode, train), train.labels, embeddings(encode, held_out), held_out.labels
    )

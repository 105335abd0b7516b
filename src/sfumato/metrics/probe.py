"""The linear probe: what can be read off embeddings by a straight line (Alain & Bengio 2016).

Logistic regression learns the labels of the training split from its embeddings, each coordinate standardised
there, and is asked about the held-out split. The encoder itself never sees a label. A figure means something
only beside two others, the same probe of an untrained encoder and of the examples' own values: much of a
small data set can be read off those, too.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from sfumato.data.dataset import Dataset, Split
from sfumato.data.scaling import Scaling
from sfumato.errors import DataError

CHUNK = 512
MOST_ROUNDS = 300
LEEWAY = 0.1
"""One over the penalty on squared weights, which matters where coordinates are many and examples few."""

Encode = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Probe:
    """What was read: the share of right answers in [0, 1].

    examples: how many held-out ones were asked about; learned_from: how many labels were shown before.
    """

    accuracy: float
    examples: int
    learned_from: int


def raw(x: Tensor) -> Tensor:
    """Return the examples' own values as their embedding: (B, ...) -> (B, D)."""
    return x.flatten(1)


def embeddings(encode: Encode, split: Split, scaling: Scaling, device: torch.device | None = None) -> Tensor:
    """Return the embeddings of a split, a chunk at a time: float32 (N, D) on the host.

    encode: examples as the model sees them, (B, ...) on `device` -> (B, D).
    """
    found = []
    for indices in torch.arange(len(split)).split(CHUNK):
        x = scaling.to_model(split.batch(indices)[0])
        found.append(encode(x if device is None else x.to(device)).float().flatten(1).cpu())
    return torch.cat(found)


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


def probe(encode: Encode, dataset: Dataset, scaling: Scaling, device: torch.device | None = None) -> Probe:
    """Probe an encoder on a labelled data set: learn from the training split, ask about the held-out one.

    Raises DataError for data without labels or without held-out examples.
    """
    train, held_out = dataset.train, dataset.held_out
    if train.labels is None or held_out.labels is None or not len(held_out):
        raise DataError(f"'{dataset.name}' has no labels and held-out examples to probe an encoder with.")
    known, asked = (embeddings(encode, split, scaling, device) for split in (train, held_out))
    return linear_probe(known, train.labels, asked, held_out.labels)

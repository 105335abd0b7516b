"""What classes the judge reads in the samples: are they the ones asked for, and are all of them there?

*Read as asked* is the share of samples that the judge reads as the class that was asked for (Ravuri & Vinyals
2019 train on samples instead; this asks the converse, cheaper question). It cannot be judged beyond the
judge's own accuracy.

*Classes covered* is the share of classes that turn up at a tenth or more of their rate in the training split.
A generator that collapsed to one of K equally common classes covers 1/K.

*Evenness* is the entropy −Σ p·log p of the classes read, over its maximum log K: 1 where all are as common,
0 where there is but one.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from sfumato.data import Dataset
from sfumato.errors import DataError

RARE = 0.1
FEWEST_EXPECTED = 5


@dataclass(frozen=True)
class Reading:
    """What was read.

    as_asked: share in [0, 1], None where nothing was asked; per_class: the same for each class asked for;
    covered: share of classes in [0, 1]; evenness: in [0, 1], 1 for a single class; fewest_expected: how often
    the rarest class is expected.
    """

    as_asked: float | None
    per_class: dict[str, float]
    covered: float
    evenness: float
    fewest_expected: float

    def warnings(self) -> tuple[str, ...]:
        """Return what a reader should know before trusting the figures."""
        if self.fewest_expected >= FEWEST_EXPECTED:
            return ()
        return (
            f"The rarest class is expected {self.fewest_expected:.2g} times among so few samples: "
            "it may seem missing by chance.",
        )


def reading(read: Tensor, asked: Tensor | None, dataset: Dataset) -> Reading:
    """Compare classes read, int64 (N,), with those asked for, int64 (N,) or None, and with the data's own.

    Raises DataError if `asked` has another length or names a class that the data does not have.
    """
    count = len(dataset.classes)
    labels = dataset.train.labels
    if labels is None:
        raise ValueError("classes were read, but the training split has no labels")
    expected = torch.bincount(labels, minlength=count).double() / len(labels) * len(read)
    present = expected > 0
    found = torch.bincount(read, minlength=count)
    covered = (found >= RARE * expected) & (found > 0) & present
    as_asked, per_class = (
        (None, {}) if asked is None else _as_asked(read, _required(asked, read, count), dataset)
    )
    share = int(covered.sum()) / int(present.sum())
    return Reading(as_asked, per_class, share, evenness(found), float(expected[present].min()))


def evenness(counts: Tensor) -> float:
    """Return the entropy of classes found so often, int64 (K,), over that of K equally common ones."""
    if len(counts) < 2:
        return 1.0
    shares = counts.double() / counts.sum()
    return float(torch.special.entr(shares).sum()) / math.log(len(counts))


def _as_asked(read: Tensor, asked: Tensor, dataset: Dataset) -> tuple[float, dict[str, float]]:
    right = (read == asked).double()
    shares = {
        dataset.classes[label]: float(right[asked == label].mean()) for label in asked.unique().tolist()
    }
    return float(right.mean()), shares


def _required(asked: Tensor, read: Tensor, count: int) -> Tensor:
    if asked.shape != read.shape:
        raise DataError(
            f"There are {len(read):,} samples but {len(asked):,} labels asked for: give one a sample."
        )
    if int(asked.min()) < 0 or int(asked.max()) >= count:
        raise DataError(
            f"The labels asked for run from {int(asked.min())} to {int(asked.max())}: "
            f"the data's {count} classes are 0 to {count - 1}."
        )
    return asked

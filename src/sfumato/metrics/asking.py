"""Which classes to ask for, where samples are to stand beside the data: the data's own, in proportion.

A Fréchet distance compares with the real examples all together,

    p(x) = Σ_c p(c)·p(x | c)

so a model that draws every class perfectly scores at the floor only if class c is asked for in p(c) of the
samples. Sample i is asked for the class that lags furthest behind its share,

    argmax_c  p(c)·(i + 1) − (times c was asked for before)

which keeps every beginning of the list in proportion as well: no class is ever a whole sample ahead of its
share, and classes that are equally common take turns. Nothing is drawn by chance, whose unevenness would cost
distance as well.
"""

import numpy as np
import torch

from sfumato.data import Dataset
from sfumato.errors import DataError


def classes_to_ask(dataset: Dataset, n: int) -> list[str]:
    """Return the names of classes to ask `n` samples for, in the proportions of all real examples.

    Raises DataError for data without labels.
    """
    splits = [split.labels for split in (dataset.train, dataset.held_out) if len(split)]
    labels = [found for found in splits if found is not None]
    if not labels or not dataset.classes:
        raise DataError(f"'{dataset.name}' has no labels, so there is no class to ask for.")
    counts = torch.bincount(torch.cat(labels), minlength=len(dataset.classes)).numpy()
    return [dataset.classes[place] for place in in_proportion(counts, n)]


def in_proportion(counts: np.ndarray, n: int) -> list[int]:
    """Return `n` places in the proportions of `counts`, int64 (K,), none of them negative nor all zero."""
    asked, places = np.zeros_like(counts), []
    for i in range(n):
        place = int(np.argmax(counts * (i + 1) - asked * counts.sum()))
        asked[place] += 1
        places.append(place)
    return places

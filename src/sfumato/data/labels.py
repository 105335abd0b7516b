"""From label names to places in a list of classes.

Names are sorted as text, unless all are whole numbers, which are sorted by value: a folder of classes "0" to
"10" and an array of labels 0 to 10 then agree.
"""

import re

import numpy as np
import torch
from torch import Tensor

from sfumato.errors import DataError


def read_labels(values: np.ndarray, count: int) -> np.ndarray:
    """Return labels as text, (N,) of str, from whole numbers, booleans or text: (N,) or (N, 1).

    Raises DataError where there are not `count` of them or they are of another kind.
    """
    if values.size != count or values.shape[:1] != (count,):
        raise DataError(
            f"Labels of shape {values.shape} do not go with {count} examples: give one label an example, "
            f"as a class number or name."
        )
    flat = values.reshape(count)
    if flat.dtype.kind == "f" and np.array_equal(flat, np.rint(flat)):
        flat = flat.astype(np.int64)
    if flat.dtype.kind not in "iubUS":
        raise DataError(f"Labels of type {flat.dtype} are not classes: give whole numbers or names.")
    return flat.astype(str)


def sort_classes(names: set[str]) -> tuple[str, ...]:
    """Return class names in order: by value where all are whole numbers, else as text."""
    if all(re.fullmatch(r"-?[0-9]+", name) for name in names):
        return tuple(sorted(names, key=lambda name: (int(name), name)))
    return tuple(sorted(names))


def encode(labels: np.ndarray, classes: tuple[str, ...]) -> tuple[Tensor, tuple[str, ...]]:
    """Return int64 (N,) places of `labels`, (N,) of str, and the classes that they point into.

    Where `classes` is given, labels are its places, written out; else classes are the labels' own names.
    Raises DataError for a label outside the given classes.
    """
    present, places = np.unique(labels, return_inverse=True)
    names = classes or sort_classes(set(present.tolist()))
    keys = [str(place) for place in range(len(classes))] or list(names)
    place_of = {key: place for place, key in enumerate(keys)}
    strays = [name for name in present.tolist() if name not in place_of]
    if strays:
        raise DataError(f"Label {strays[0]} is outside the {len(classes)} classes that the source lists.")
    table = torch.tensor([place_of[name] for name in present.tolist()], dtype=torch.int64)
    return table[torch.from_numpy(places)], names

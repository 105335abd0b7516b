"""Arrays as examples: pictures of several layouts, or vectors.

    (N, H, W), (N, H, W, 1|3|4), (N, 1|3|4, H, W)   pictures: whole numbers 0..255, or floats in [0, 1]
    (N, D)                                          vectors: finite numbers

Where both readings of four axes are possible, channels come last. Floats in [-1, 1] are refused, not guessed:
a picture in [0, 1] that a filter has pushed slightly below 0 would turn grey.
"""

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from sfumato.data.found import Found, Pictures
from sfumato.data.labels import read_labels
from sfumato.data.pictures import Form, fit
from sfumato.errors import DataError

_CHUNK = 4096  # rows looked at together, so that a file mapped into memory is not read whole


class ArrayPictures:
    """Pictures of an array: (N, H, W) or (N, H, W, 3|4), uint8, or floats in [0, 1]."""

    def __init__(self, array: np.ndarray) -> None:
        self.array = array
        self._white = 255 if array.dtype.kind in "fb" else 1

    def __len__(self) -> int:
        return len(self.array)

    def name(self, index: int) -> str:
        """Return "picture" and its place."""
        return f"picture {index}"

    def size(self, index: int) -> tuple[int, int]:
        """Return (width, height), the same for all."""
        return self.array.shape[2], self.array.shape[1]

    def fit(self, index: int, form: Form) -> np.ndarray:
        """Return the picture as bytes, brought to `form`."""
        values = self.array[index]
        if values.dtype != np.uint8:
            values = np.rint(values * self._white).astype(np.uint8)
        planes: np.ndarray = values[None] if values.ndim == 2 else values.transpose(2, 0, 1)
        if planes.shape == form.shape:  # nothing to do, and the way through Pillow takes ten times as long
            return planes
        return fit(Image.fromarray(np.ascontiguousarray(values)), form)


def read_examples(array: np.ndarray) -> Pictures | Tensor:
    """Return the pictures or vectors of `array`; raises DataError for a shape, type or range of neither."""
    if array.dtype.kind not in "buif":
        raise DataError(f"An array of type {array.dtype} is not data: give numbers, uint8 or float32.")
    if array.size == 0:
        raise DataError(f"An array of shape {array.shape} is empty: give two examples or more.")
    if array.ndim == 2:
        return _vectors(array)
    pictures = _channels_last(array)
    _check_range(pictures)
    return ArrayPictures(pictures)


def _vectors(array: np.ndarray) -> Tensor:
    values = np.array(array, np.float32)
    broken = np.flatnonzero(~np.isfinite(values).all(1))
    if len(broken):
        raise DataError(
            f"Row {broken[0]} is not finite: leave such rows out ({len(broken)} of {len(values)})."
        )
    return torch.from_numpy(values)


def _channels_last(array: np.ndarray) -> np.ndarray:
    """Return a view as (N, H, W) or (N, H, W, 3|4)."""
    if array.ndim == 3:
        return array
    if array.ndim != 4 or not {array.shape[1], array.shape[3]} & {1, 3, 4}:
        raise DataError(
            "An array must have shape (N, H, W), (N, H, W, 1|3|4) or (N, 1|3|4, H, W) for pictures, "
            f"or (N, D) for vectors, not {array.shape}."
        )
    last = array if array.shape[3] in (1, 3, 4) else np.moveaxis(array, 1, 3)
    return last[..., 0] if last.shape[3] == 1 else last


def _check_range(array: np.ndarray) -> None:
    """Refuse values of which it would be unclear what is white."""
    if array.dtype == np.uint8 or array.dtype.kind == "b":
        return
    chunks = [array[start : start + _CHUNK] for start in range(0, len(array), _CHUNK)]
    low, high = min(chunk.min() for chunk in chunks), max(chunk.max() for chunk in chunks)
    white = 1 if array.dtype.kind == "f" else 255
    if not (low >= 0 and high <= white):  # in this form, NaN is refused too
        raise DataError(
            f"Pictures of type {array.dtype} run from {low:g} to {high:g}: scale floats to [0, 1] "
            "((x + 1) / 2 brings [-1, 1] there), or give uint8 from 0 to 255."
        )


def found_in_arrays(
    examples: np.ndarray,
    labels: np.ndarray | None = None,
    test_examples: np.ndarray | None = None,
    test_labels: np.ndarray | None = None,
    *,
    classes: tuple[str, ...] = (),
) -> Found:
    """Return what arrays hold.

    examples and test_examples: one of the layouts above; labels and test_labels: (N,) of whole numbers or
    text, both or neither; classes: names of labels 0, 1, .... Raises DataError where they do not go together.
    """
    text = None if labels is None else read_labels(labels, len(examples))
    if test_examples is None:
        return Found(read_examples(examples), text, classes=classes)
    if examples.shape[1:] != test_examples.shape[1:] or examples.dtype != test_examples.dtype:
        raise DataError(
            f"Training examples of shape {examples.shape[1:]} and type {examples.dtype} do not go with "
            f"test examples of shape {test_examples.shape[1:]} and type {test_examples.dtype}."
        )
    if (labels is None) != (test_labels is None):
        raise DataError("Training and test examples must both have labels, or neither.")
    if test_labels is not None and text is not None:
        text = np.concatenate([text, read_labels(test_labels, len(test_examples))])
    held_out = np.arange(len(examples) + len(test_examples)) >= len(examples)
    return Found(read_examples(np.concatenate([examples, test_examples])), text, None, held_out, classes)

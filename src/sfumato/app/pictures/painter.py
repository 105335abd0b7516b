"""What to draw examples as: the one place that looks at an array's rank.

A painter is chosen on the final examples and then draws any stage of them alike: the same columns, the
same window of the plane. So a film keeps still while what it shows changes.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TypeVar

import numpy as np
from PIL import Image

from sfumato.app.pictures.grids import columns_for, grid
from sfumato.app.pictures.points import scatter, window_of
from sfumato.errors import DataError

Painter = Callable[[np.ndarray], Image.Image]
Labels = Sequence[int] | np.ndarray | None
Way = TypeVar("Way")


def picture(
    examples: np.ndarray,
    labels: Labels = None,
    *,
    captions: Sequence[str] | None = None,
    columns: int | None = None,
    reference: np.ndarray | None = None,
) -> Image.Image:
    """Draw images as a grid and points as a scatter.

    examples: uint8 (N, C, H, W) or floats (N, 2); labels: (N,) whole numbers, which choose a grid's
    columns or a scatter's colours. Images heed `captions` (N words) and `columns`, points heed
    `reference`, (M, 2) of real data. Raises DataError for other arrays.
    """
    return painter(examples, labels, captions=captions, columns=columns, reference=reference)(examples)


def painter(
    final: np.ndarray,
    labels: Labels = None,
    *,
    captions: Sequence[str] | None = None,
    columns: int | None = None,
    reference: np.ndarray | None = None,
) -> Painter:
    """Choose how to draw `final` and all its earlier stages; the arguments are those of `picture`."""
    return by_rank(final, _PAINTERS)(np.asarray(final), labels, captions, columns, reference)


def can_draw(shape: tuple[int, ...]) -> bool:
    """Return whether examples of `shape` can be drawn: pictures, and points in the plane."""
    return len(shape) == 3 or shape == (2,)


def by_rank(examples: np.ndarray, ways: Mapping[int, Way]) -> Way:
    """Return the way for arrays of this rank: 4 for images, 2 for points. Raises DataError for others."""
    examples = np.asarray(examples)
    if examples.ndim not in ways:
        raise DataError(
            f"Only images (N, C, H, W) and points (N, 2) can be drawn, not an array {examples.shape}."
        )
    return ways[examples.ndim]


def _grid_painter(
    final: np.ndarray,
    labels: Labels,
    captions: Sequence[str] | None,
    columns: int | None,
    reference: np.ndarray | None,
) -> Painter:
    return partial(grid, columns=columns or columns_for(len(final), labels), captions=captions)


def _scatter_painter(
    final: np.ndarray,
    labels: Labels,
    captions: Sequence[str] | None,
    columns: int | None,
    reference: np.ndarray | None,
) -> Painter:
    return partial(scatter, labels=labels, reference=reference, window=window_of(final, reference))


_PAINTERS = {4: _grid_painter, 2: _scatter_painter}

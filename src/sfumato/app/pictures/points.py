"""Points in the plane: samples in colour, real data in light grey behind them."""

import math
from collections.abc import Sequence

import numpy as np
from PIL import Image

from sfumato.errors import DataError

Window = tuple[float, float, float, float]  # left, right, bottom, top


def scatter(
    points: np.ndarray,
    labels: Sequence[int] | np.ndarray | None = None,
    reference: np.ndarray | None = None,
    window: Window | None = None,
    pixels: int = 520,
) -> Image.Image:
    """Draw points.

    points: (N, 2); labels: (N,) whole numbers, a colour each; reference: (M, 2), drawn in light grey
    behind; window: what part of the plane is seen, by default all of `points` and `reference`;
    pixels: width and height of the picture.
    Raises DataError where an array is not of that shape.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    points = checked_points(points)
    left, right, bottom, top = window or window_of(points, reference)
    # At 100 dots an inch a marker's area is in points, (1/72 inch)².
    figure = Figure(figsize=(pixels / 100, pixels / 100), dpi=100, facecolor="#fdfdfc")
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_axis_off()
    axes.set(xlim=(left, right), ylim=(bottom, top), aspect="equal")
    if reference is not None:
        behind = checked_points(reference)
        axes.scatter(behind[:, 0], behind[:, 1], s=_area(len(behind), pixels), c="#c8ccd2", linewidths=0)
    ink = _colours(labels, len(points))
    axes.scatter(points[:, 0], points[:, 1], s=_area(len(points), pixels), c=ink, alpha=0.8, linewidths=0)
    canvas.draw()
    drawn = np.asarray(canvas.buffer_rgba())
    return Image.fromarray(drawn[:, :, :3].copy())


def window_of(points: np.ndarray, reference: np.ndarray | None = None) -> Window:
    """Return the square around all finite rows of `points` (N, 2) and `reference` (M, 2), with a margin."""
    seen = np.concatenate(
        [checked_points(points), checked_points(points if reference is None else reference)]
    )
    seen = seen[np.isfinite(seen).all(axis=1)].astype(np.float64)
    if len(seen) == 0:
        return (-1.0, 1.0, -1.0, 1.0)
    low, high = seen.min(axis=0), seen.max(axis=0)
    # One point, or equal ones, still need a window of some width.
    half = max(float((high - low).max()) / 2 * 1.08, 1e-3 * max(1.0, float(np.abs(seen).max())))
    x, y = (float(v) for v in (low + high) / 2)
    return (x - half, x + half, y - half, y + half)


def checked_points(points: np.ndarray) -> np.ndarray:
    """Return `points` if they are (N, 2) with N at least 1, else raise DataError."""
    points = np.asarray(points)
    if points.ndim != 2 or points.shape[1] != 2 or len(points) == 0:
        raise DataError(f"A scatter needs one or more points in the plane, (N, 2), not {points.shape}.")
    return points


def _area(count: int, pixels: int) -> float:
    """Return a marker's area in square points: smaller where there are many."""
    return min(26.0, max(3.0, 9000 / count)) * math.pow(pixels / 520, 1.5)


def _colours(labels: Sequence[int] | np.ndarray | None, count: int) -> np.ndarray:
    """Return a colour a point: (N, 4) in [0, 1]; one blue for all without labels."""
    from matplotlib import colormaps
    from matplotlib.colors import to_rgba

    if labels is None:
        return np.tile(to_rgba("#2f6db5"), (count, 1))
    kinds = np.asarray(labels, dtype=np.int64)
    if kinds.shape != (count,):
        raise DataError(f"{count} points need {count} labels, not an array of shape {kinds.shape}.")
    palette = colormaps["tab10" if kinds.max() < 10 else "tab20"]
    return palette(kinds % palette.N)

"""Embeddings as pictures: a map with its classes named where they lie, examples beside their neighbours."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from sfumato.app.pictures.grids import checked, grid
from sfumato.app.pictures.points import checked_points, scatter, window_of
from sfumato.errors import DataError

SIDE = 640
MOST_NAMED = 20
"""Classes up to which names are written: more would cover the map."""
INK, PAPER = (30, 34, 40), (253, 253, 252)


def map_of(points: np.ndarray, labels: np.ndarray | None = None, names: Sequence[str] = ()) -> Image.Image:
    """Draw points of a map in their classes' colours, each class's name at the middle of its points.

    points: (N, 2); labels: (N,) whole numbers, places in `names`, or None for one colour.
    """
    points = checked_points(points)
    sheet = scatter(points, labels, pixels=SIDE)
    if labels is None or len(names) > MOST_NAMED:
        return sheet
    left, right, bottom, top = window_of(points)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=15)
    for place, name in enumerate(names):
        mine = points[np.asarray(labels) == place]
        if len(mine):
            x, y = np.median(mine, axis=0)
            at = ((x - left) / (right - left) * SIDE, (top - y) / (top - bottom) * SIDE)
            draw.text(at, name, INK, font, anchor="mm", stroke_width=3, stroke_fill=PAPER)
    return sheet


def beside_neighbours(asked: np.ndarray, neighbours: np.ndarray) -> Image.Image:
    """Draw a row for each example: itself on the left, then its nearest neighbours in falling similarity.

    asked: uint8 (Q, C, H, W); neighbours: uint8 (Q, K, C, H, W). Raises DataError where they do not match.
    """
    asked = checked(asked)
    if neighbours.ndim != 5 or neighbours.shape[0] != len(asked) or neighbours.shape[2:] != asked.shape[1:]:
        raise DataError(
            f"Pictures of shape {asked.shape} need neighbours of shape (Q, K, C, H, W), "
            f"not {neighbours.shape}."
        )
    rows = np.concatenate([asked[:, None], neighbours], axis=1)
    return grid(rows.reshape(-1, *asked.shape[1:]), rows.shape[1])

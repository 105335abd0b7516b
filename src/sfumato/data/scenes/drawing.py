"""From a scene to pixels: every pixel is the average of what it covers.

A shape is cut into scan lines. On each it is one interval, whose share of every pixel is exact:

    covered = [clip(right edge − left end, 0, length) − clip(left edge − left end, 0, length)] / pixel

taken at the middle of what the shape has of the line; the lines of a pixel are then averaged. There are 2^k
lines to a pixel, and at least 256 in all, so a picture of 2n pixels has the same lines as one of n (up to
n = 128): averaging its pixels two by two gives the smaller picture, but for the rounding of both.
"""

import numpy as np

from sfumato.data.scenes.scene import Scene
from sfumato.data.scenes.shapes import SHAPES
from sfumato.data.scenes.words import COLOURS

LEAST_LINES = 256


def coverage(shape: str, x: float, y: float, radius: float, size: int) -> np.ndarray:
    """Return the share of every pixel that a shape covers: float64 (size, size), in [0, 1].

    x, y: the shape's middle, and `radius`, in sides of the picture; size: pixels a side.
    """
    lines = size
    while lines < LEAST_LINES:
        lines *= 2
    ends = np.clip(np.arange(lines + 1) / lines, y - radius, y + radius)
    heights = (ends[1:] + ends[:-1]) / 2
    half = radius * SHAPES[shape].half_width((heights - y) / radius)
    edges = np.arange(size + 1) / size
    before = np.clip(edges - (x - half)[:, None], 0, 2 * half[:, None]) * (np.diff(ends) * lines)[:, None]
    return np.diff(before.reshape(size, lines // size, size + 1).mean(1), axis=1) * size


def draw(scene: Scene, size: int) -> np.ndarray:
    """Return the picture of a scene: uint8 (3, size, size)."""
    canvas = np.full((3, size, size), scene.grey)
    for thing in scene.things:
        share = coverage(thing.shape, thing.x, thing.y, thing.radius, size)
        canvas += share * (np.array(COLOURS[thing.colour])[:, None, None] - canvas)
    return np.rint(canvas).astype(np.uint8)

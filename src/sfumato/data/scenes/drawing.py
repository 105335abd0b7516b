"""From a scene to pixels: every pixel is the average of what it covers.

A shape is cut into scan lines. On each it is one interval, whose share of every pixel is exact:

    covered = [clip(right edge − left end, 0, length) − clip(left edge − left end, 0, length)] / pixel

and the lines of a pixel are averaged. A picture has a power of two times as many lines as pixels, 256 or more
(but for odd sizes fewer than twice as many), so a picture of 2n pixels has the lines of one of n up to 128:
averaging its pixels two by two gives the smaller picture, up to the rounding of both to whole numbers.
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
    heights = (np.arange(lines) + 0.5) / lines
    half = radius * SHAPES[shape].half_width((heights - y) / radius)
    edges = np.arange(size + 1) / size
    before = np.clip(edges - (x - half)[:, None], 0, 2 * half[:, None])
    return np.diff(before.reshape(size, lines // size, size + 1).mean(1), axis=1) * size


def draw(scene: Scene, size: int) -> np.ndarray:
    """Return the picture of a scene: uint8 (3, size, size)."""
    canvas = np.full((3, size, size), scene.grey)
    for thing in scene.things:
        share = coverage(thing.shape, thing.x, thing.y, thing.radius, size)
        canvas += share * (np.array(COLOURS[thing.colour])[:, None, None] - canvas)
    return np.rint(canvas).astype(np.uint8)

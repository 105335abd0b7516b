"""What there is to say about a scene, and what each word means.

Lengths are in sides of the picture, x runs to the right and y downwards, both from 0 to 1. The drawn ranges
of a word and of its neighbour leave a gap, so that a picture can be told to follow one of them or neither.
"""

from sfumato.data.scenes.shapes import SHAPES

COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (220, 40, 40),
    "yellow": (245, 200, 20),
    "green": (50, 170, 60),
    "blue": (30, 90, 220),
    "purple": (170, 50, 200),
    "black": (25, 25, 25),
}
"""RGB, 0 to 255. Seen from a light grey, no two lie in nearly the same direction, so that a half covered
pixel, a mixture with the background, still tells its colour."""

GREYS = (200.0, 255.0)
"""The background's range of brightness."""

SIZES: dict[str, tuple[float, float]] = {"small": (3.9 / 32, 4.6 / 32), "large": (5.8 / 32, 6.6 / 32)}
"""Ranges of half the width of a thing: at 32 × 32, about 8 to 9 and 12 to 13 pixels across."""

PLACES: dict[str, tuple[float, float]] = {
    "top left": (9 / 32, 9 / 32),
    "top right": (23 / 32, 9 / 32),
    "bottom left": (9 / 32, 23 / 32),
    "bottom right": (23 / 32, 23 / 32),
    "centre": (0.5, 0.5),
}
"""Where the middle of a thing is, (x, y), give or take `JITTER`."""

JITTER = 1.2 / 32
GAP = 2 / 32
"""Free space between two things, in one direction at least; they are never told apart by less."""
MARGIN = 1 / 32
"""Free space between a thing and the picture's border."""

COUNTS: dict[str, int] = {"a": 1, "two": 2, "three": 3}

RELATIONS: dict[str, tuple[int, int]] = {"left of": (1, 0), "above": (0, 1)}
"""The direction, (x, y), from the first thing to the second."""

SLANT = 3 / 32
"""How far two related things may be out of level."""


def plural(shape: str, count: int) -> str:
    """Return the word for `count` things of a shape."""
    if count == 1:
        return shape
    return f"{shape}es" if shape.endswith("s") else f"{shape}s"


VOCABULARY = frozenset(
    word
    for phrase in (*SHAPES, *COLOURS, *SIZES, *PLACES, *COUNTS, *RELATIONS, "in the")
    for word in phrase.split()
) | {plural(shape, 2) for shape in SHAPES}
"""Every word that can stand in a sentence, lower case."""

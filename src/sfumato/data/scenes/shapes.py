"""The shapes, each by its half width h(y) at every height y from -1 (top) to 1 (bottom).

A shape of radius 1 is all points with |x| <= h(y); it fits the square from -1 to 1. Its area is the integral
of 2·h and its centroid the integral of 2·h·y over the area, both known in closed form.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Profile = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Shape:
    """A shape of radius 1. half_width: y (L,) -> h(y) (L,), 0 outside [-1, 1]; area; centroid: its y."""

    half_width: Profile
    area: float
    centroid: float = 0.0


def _circle(y: np.ndarray) -> np.ndarray:
    return np.sqrt(np.clip(1 - y * y, 0, None))


def _square(y: np.ndarray) -> np.ndarray:
    return (np.abs(y) <= 1) * 1.0


def _triangle(y: np.ndarray) -> np.ndarray:
    """Stand on the base, the apex above its middle."""
    return (np.abs(y) <= 1) * (1 + y) / 2


def _cross(y: np.ndarray) -> np.ndarray:
    """Two bars, each a third as wide as long."""
    return (np.abs(y) <= 1) * np.where(np.abs(y) <= 1 / 3, 1.0, 1 / 3)


SHAPES: dict[str, Shape] = {
    "circle": Shape(_circle, math.pi),
    "square": Shape(_square, 4.0),
    "triangle": Shape(_triangle, 2.0, centroid=1 / 3),
    "cross": Shape(_cross, 20 / 9),
}

"""What is to be drawn: things on a plain grey. Lengths are in sides of the picture, y runs downwards."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Thing:
    """A shape of a colour, its middle at (x, y); `radius` is half the side of its bounding box."""

    shape: str
    colour: str
    x: float
    y: float
    radius: float


@dataclass(frozen=True)
class Scene:
    """Things before a background of one grey, 0 to 255."""

    things: tuple[Thing, ...]
    grey: float

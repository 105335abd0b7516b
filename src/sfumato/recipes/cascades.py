"""Recipes of several models in one folder: a stage each, with its own recipe and its share of the time."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Stage:
    """A stage of a cascade.

    name: of its folder; recipe: one of `RECIPES`; share: of the budget; gives: the condition that what it
    makes is for those after it, None of the last; smaller: by how much its pictures are smaller than the last
    stage's.
    """

    name: str
    recipe: str
    share: float
    gives: str | None = None
    smaller: int = 1


CASCADES = {
    "glide": (
        Stage("base", "images", 0.7, gives="picture", smaller=2),
        Stage("upsampler", "upsampler", 0.3),
    ),
}
"""Cascades by name."""

TOLD = {"glide": "pictures from words, then twice as large: text-to-image with an upsampler (use --size 64)"}
"""A line about each."""

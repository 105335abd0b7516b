"""Pixels in raster order by convolutions that look up and left alone (row H9)."""

from sfumato.recipes.facts import Facts


def recipe(facts: Facts) -> dict[str, object]:
    """Return the family, for as many levels as the data's values have, and how it is trained."""
    family = {"name": "pixel-cnn", "levels": facts.levels, **facts.pixel_network()}
    return {"family": family, **facts.causal_training()}

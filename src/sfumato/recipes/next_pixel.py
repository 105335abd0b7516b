"""Pixels in raster order by a transformer (rows R3, H9), with an exact likelihood."""

from sfumato.recipes.facts import Facts


def recipe(facts: Facts) -> dict[str, object]:
    """Return the family, for as many levels as the data's values have, and how it is trained."""
    # Short sequences can afford many heads and layers, and understand more before they know all by heart.
    short = {"head": 16, "layers": 6} if facts.is_small else {}
    family = {"name": "next-pixel", "levels": facts.levels, **facts.pixel_network(), **short}
    return {"family": family, **facts.causal_training()}

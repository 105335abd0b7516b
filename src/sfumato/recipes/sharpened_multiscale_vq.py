"""The tokenizer of VAR, sharpened by a critic: what few codes leave open is made up and not blurred."""

from sfumato.recipes import multiscale_vq
from sfumato.recipes.facts import Facts


def recipe(facts: Facts) -> dict[str, object]:
    """Return the family and how it is trained."""
    plain = multiscale_vq.recipe(facts)
    return {**plain, "family": {**facts.codebook(), "name": "sharpened-multiscale-vq"}}

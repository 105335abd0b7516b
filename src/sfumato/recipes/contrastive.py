"""A contrastive embedding (row N2): two views of a picture near each other, all others far."""

from sfumato.recipes.facts import Facts


def recipe(facts: Facts) -> dict[str, object]:
    """Return the family and how it is trained."""
    return {"family": "contrastive"}

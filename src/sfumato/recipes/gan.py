"""A generative adversarial network (rows N5, R2): sharp pictures in one step, by a game that holds still."""

from sfumato.recipes.facts import Facts


def recipe(facts: Facts) -> dict[str, object]:
    """Return the family and how it is trained."""
    return {"family": "gan"}

"""Contrastive embedding of pictures and captions (row N2): CLIP (Radford et al. 2021).

As with `contrastive`, every other example of a batch is a counterexample, so batches are large.
"""

from sfumato.recipes.facts import Facts


def recipe(facts: Facts) -> dict[str, object]:
    """Return the family and how it is trained."""
    rate = {"learning_rate": 6e-3} if facts.is_pictures else {}
    return {"family": "clip", "training": {"batch": 256, **rate}}

"""A contrastive embedding (row N2): two views of a picture near each other, all others far.

Every other example of a batch is a counterexample, so batches are larger than elsewhere, but not larger than
the data: an example must not be its own.
"""

from sfumato.recipes.facts import Facts


def recipe(facts: Facts) -> dict[str, object]:
    """Return the family and how it is trained."""
    rate = {"learning_rate": 6e-3} if facts.is_pictures else {}
    batch = min(256, facts.examples) if facts.examples else 256
    return {"family": "contrastive", "training": {"batch": batch, **rate}}

"""A vector-quantised autoencoder: a picture as a small map of words from a learned codebook."""

from sfumato.recipes.facts import Facts


def recipe(facts: Facts) -> dict[str, object]:
    """Return the family and how it is trained."""
    return {"family": {"name": "vq-vae", **facts.codebook()}, **facts.likelihood_training()}

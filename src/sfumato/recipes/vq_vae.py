"""A vector-quantised autoencoder: a picture as a small map of words from a learned codebook."""

from sfumato.recipes.facts import Facts


def recipe(facts: Facts) -> dict[str, object]:
    """Return the family and how it is trained."""
    return {"family": {"name": "vq-vae", **codebook(facts)}, **facts.likelihood_training()}


def codebook(facts: Facts) -> dict[str, object]:
    """Return how many codes there are, how many numbers each has, and the likelihood of a picture."""
    codes, depth = (64, 4) if facts.is_small else (256, 8)
    return {"codes": codes, "depth": depth, "decoder": facts.decoder()}

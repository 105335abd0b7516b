"""The tokenizer of VAR: a picture as maps of words from coarse to fine, for a model of maps to learn."""

from sfumato.recipes.facts import Facts
from sfumato.recipes.vq_vae import codebook


def recipe(facts: Facts) -> dict[str, object]:
    """Return the family and how it is trained."""
    return {"family": {"name": "multiscale-vq", **codebook(facts)}, **facts.likelihood_training()}

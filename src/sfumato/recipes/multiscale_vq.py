"""The tokenizer of VAR: a picture as maps of words from coarse to fine, for a model of maps to learn."""

from sfumato.recipes.facts import Facts


def recipe(facts: Facts) -> dict[str, object]:
    """Return the family and how it is trained."""
    return {"family": {"name": "multiscale-vq", **facts.codebook()}, **facts.likelihood_training()}

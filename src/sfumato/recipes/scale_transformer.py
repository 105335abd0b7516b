"""The tokens of a multi-scale autoencoder, map after map: the second stage of VAR (row H9)."""

from sfumato.recipes.facts import Facts

TEMPERATURE = 0.8
"""The tokens of one map are chosen without knowing of each other: with less spread they fit better."""


def recipe(facts: Facts) -> dict[str, object]:
    """Return the family and how it is trained; raise ConfigError without a tokenizer."""
    family = {"name": "scale-transformer", **facts.token_network(), "temperature": TEMPERATURE}
    return {"family": family, **facts.token_training()}

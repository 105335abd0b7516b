"""The tokens of a multi-scale autoencoder, map after map: the second stage of VAR (row H9)."""

from sfumato.recipes.facts import Facts


def recipe(facts: Facts) -> dict[str, object]:
    """Return the family and how it is trained; raise ConfigError without a tokenizer."""
    return {"family": {"name": "scale-transformer", **facts.token_network()}, **facts.token_training()}

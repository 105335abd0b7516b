"""The tokens of a vector-quantised autoencoder, one after another (row H9)."""

from sfumato.recipes.facts import Facts


def recipe(facts: Facts) -> dict[str, object]:
    """Return the family and how it is trained; raise ConfigError without a tokenizer."""
    return {"family": {"name": "token-transformer", **facts.token_network()}, **facts.token_training()}

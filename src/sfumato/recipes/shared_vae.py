"""The hierarchy of row H2 with one pair of networks for all levels: a step before fixing the encoder."""

from sfumato.recipes.facts import Facts


def recipe(facts: Facts) -> dict[str, object]:
    """Return the family and how it is trained."""
    return {
        "family": {"name": "shared-vae", "decoder": facts.decoder()},
        **facts.likelihood_training(),
    }

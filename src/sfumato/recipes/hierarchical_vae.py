"""A hierarchical variational autoencoder as lecture row H2 draws it: a pair of networks for each level."""

from sfumato.recipes.facts import Facts


def recipe(facts: Facts) -> dict[str, object]:
    """Return the family and how it is trained."""
    return {
        "family": {
            "name": "hierarchical-vae",
            "sizes": [32, 16, 8] if facts.is_small else [64, 32, 16],
            "decoder": facts.decoder(),
        },
        **facts.likelihood_training(),
    }

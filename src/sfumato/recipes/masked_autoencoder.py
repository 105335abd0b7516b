"""A masked autoencoder (He et al. 2022, at a small scale): half of a picture's patches are hidden from it."""

from sfumato.recipes.facts import Facts


def recipe(facts: Facts) -> dict[str, object]:
    """Return the family and how it is trained."""
    return {
        "family": {
            "name": "masked-autoencoder",
            "latent": facts.code(16, 64),
            "patch": 2 if facts.is_small else 4,
        },
    }

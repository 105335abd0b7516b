"""A denoising autoencoder (rows A2, H1): shown noisy examples, it rebuilds the clean ones in one jump."""

from sfumato.recipes.facts import Facts


def recipe(facts: Facts) -> dict[str, object]:
    """Return the family and how it is trained."""
    return {
        "family": {
            "name": "denoising-autoencoder",
            "latent": facts.code(16, 64),
            "noise": [0.0, 1.0],
        },
    }

"""A variational autoencoder (rows N4, R1, A4): fast to sample, good at compressing, and blurry."""

from sfumato.recipes.facts import Facts


def recipe(facts: Facts) -> dict[str, object]:
    """Return the family and how it is trained."""
    return {
        "family": {
            "name": "vae",
            "latent": facts.code(8, 32),
            "decoder": facts.decoder(),
            "width": 96,
        },
        **facts.likelihood_training(),
    }

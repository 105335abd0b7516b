"""A linear autoencoder (lecture row A1), which finds the space of the first principal components.

Its loss has one valley and no noise but that of the batches, so batches are as large as the data allows,
up to 4,096 examples, and the rate is high.
"""

from sfumato.recipes.facts import Facts

MOST = 4096


def recipe(facts: Facts) -> dict[str, object]:
    """Return the family and how it is trained."""
    return {
        "family": {"name": "linear-autoencoder", "latent": facts.code(8, 32)},
        "optimiser": {"name": "adamw", "weight_decay": 0.0},
        "training": {"batch": max(1, min(facts.examples, MOST)), "learning_rate": 0.1},
    }

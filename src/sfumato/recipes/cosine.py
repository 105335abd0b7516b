"""The cosine schedule (Nichol & Dhariwal 2021), which ends in pure noise, so the network predicts v."""

from sfumato.recipes.facts import Facts


def recipe(facts: Facts) -> dict[str, object]:
    """Return the pieces of the recipe."""
    return {
        "schedule": "cosine",
        "prediction": "v",
        "weighting": "v",
        "times": "uniform",
        "sampling": {"sampler": "ddim", "grid": "uniform", "steps": 50},
    }

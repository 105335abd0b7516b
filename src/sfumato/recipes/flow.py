"""Rectified flow (Liu et al. 2023): a straight line from noise to data, whose velocity is learned."""

from sfumato.recipes.facts import Facts


def recipe(facts: Facts) -> dict[str, object]:
    """Return the pieces of the recipe."""
    return {
        "schedule": "flow",
        "prediction": "velocity",
        "weighting": "velocity",
        "times": {"name": "logit-normal", "mean": 0.0, "std": 1.0},
        "sampling": {"sampler": "heun", "grid": "uniform", "steps": 18},
    }

"""EDM as published (Karras et al. 2022, table 1): preconditioning, training density, grid, Heun's steps."""

from sfumato.recipes.facts import Facts


def recipe(facts: Facts) -> dict[str, object]:
    """Return the pieces of the recipe."""
    return {
        "schedule": {"name": "exploding-linear", "sigma_max": 80.0, "sigma_min": 0.002},
        "prediction": "edm",
        "weighting": "edm",
        "times": {"name": "log-normal", "mean": -1.2, "std": 1.2},
        "sampling": {"sampler": "heun", "grid": {"name": "rho", "rho": 7.0, "ratio_min": 0.002}, "steps": 18},
    }

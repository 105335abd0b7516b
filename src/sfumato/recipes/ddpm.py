"""DDPM as published (Ho et al. 2020): eps prediction, the simple loss, 1,000 linear betas, ancestral steps.

Its sampler is made for many steps; 250 evenly spaced ones keep it honest and bearable on two cores.
"""

from sfumato.recipes.facts import Facts


def recipe(facts: Facts) -> dict[str, object]:
    """Return the pieces of the recipe."""
    return {
        "schedule": {"name": "linear-betas", "steps": 1000},
        "prediction": "noise",
        "weighting": "noise",
        "times": "uniform",
        "sampling": {"sampler": "ancestral", "grid": "uniform", "steps": 250},
    }

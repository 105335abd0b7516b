"""DDPM as published (Ho et al. 2020): eps prediction, the simple loss, 1,000 linear betas, ancestral steps.

Its sampler is made for many steps; 250 evenly spaced ones keep it honest and bearable on two cores. The
paper's larger variance is `--sampler ancestral-large`.
"""

from sfumato.recipes.facts import Facts

STEPS = 1000
SAMPLED = 250


def recipe(facts: Facts) -> dict[str, object]:
    """Return the pieces of the recipe."""
    return {
        "schedule": {"name": "linear-betas", "steps": STEPS},
        "prediction": "noise",
        "weighting": "noise",
        "times": {"name": "steps", "steps": STEPS},
        "sampling": {"sampler": "ancestral", "grid": "uniform", "steps": SAMPLED},
    }

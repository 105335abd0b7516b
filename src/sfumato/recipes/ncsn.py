"""Noise conditional score networks with annealed Langevin dynamics (Song & Ermon 2019).

The score is learned at every level of a geometric ladder by denoising score matching, each level's loss
weighted by sigma² (their equation 6), and sampling shakes its way down the ladder.
"""

from sfumato.recipes.facts import Facts


def recipe(facts: Facts) -> dict[str, object]:
    """Return the pieces of the recipe."""
    return {
        "schedule": {"name": "exploding", "sigma_min": 0.05, "sigma_max": 10.0},
        "prediction": "score",
        "weighting": "noise",
        "times": "uniform",
        "sampling": {"sampler": "langevin", "grid": "uniform", "steps": 40, "threshold": "none"},
    }

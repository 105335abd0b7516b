"""The variance preserving stochastic differential equation (Song et al. 2021), solved backwards.

Its sampler is the paper's predictor–corrector; `--sampler euler-maruyama` is the reverse equation alone and
`--sampler adaptive-ode` the probability flow, whose likelihood `sfumato likelihood` computes.
"""

from sfumato.recipes.facts import Facts


def recipe(facts: Facts) -> dict[str, object]:
    """Return the pieces of the recipe."""
    return {
        "schedule": "linear",
        "prediction": "noise",
        "weighting": "noise",
        "times": "uniform",
        "sampling": {"sampler": "predictor-corrector", "grid": "uniform", "steps": 100},
    }

"""Lecture N whole: constant alpha, a network that never sees t, and re-noising at one level.

    x_t = sqrt(alpha)·x_{t−1} + sqrt(1 − alpha)·z,   x_T = sqrt(alpha^T)·x0 + sqrt(1 − alpha^T)·z,  f(x_t) ≈ z

T is where the lecture's tension lies. The sampler only ever asks at T, so some of the picture must be left
there to go by: sqrt(0.98^100) = 0.36 of it remains. `sfumato train` says so, because sampling starts from
none.
"""

from sfumato.recipes.facts import Facts


def recipe(facts: Facts) -> dict[str, object]:
    """Return the pieces of the recipe."""
    return {
        "schedule": {"name": "constant", "alpha": 0.98, "steps": 100},
        "prediction": "noise",
        "view": "time-free",
        "weighting": "noise",
        "times": {"name": "steps", "steps": 100},
        "sampling": {"sampler": "fixed-level", "grid": "uniform", "steps": 50},
    }

"""Lecture A's diffusion: a network that learns to undo one step, and nothing else.

    f(x_{t+dt}) regressed on x_t, so f ≈ E[x_t | x_{t+dt}];   x_t ~ N(f(x_{t+dt}), sigma²) from noise down

The loss is the plain squared error of the previous state, and the reverse step is as wide as the forward one.
"""

from sfumato.recipes.facts import Facts

STEPS = 50


def recipe(facts: Facts) -> dict[str, object]:
    """Return the pieces of the recipe; nothing is clipped, because the network's step is taken as it is."""
    return {
        "schedule": {"name": "exploding-linear", "sigma_max": 5.0, "sigma_min": 0.1},
        "prediction": {"name": "previous", "steps": STEPS},
        "weighting": "output",
        "times": {"name": "steps", "steps": STEPS},
        "sampling": {"sampler": "ancestral-large", "grid": "uniform", "steps": STEPS, "threshold": "none"},
    }

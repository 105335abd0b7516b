"""Lecture H's diffusion: growing noise, a denoiser x̂(x_t, t), and re-noising down the levels.

    x_t = x0 + alpha_t·eps,   loss ‖x0 − x̂(x_t, t)‖²,   x_{t−1} = x̂(x_t, t) + alpha_{t−1}·eps

The lecture's alpha_t is the cumulative scale, `sigma` here. Its "idea 1", one jump from T, is `--steps 1`.
"""

from sfumato.recipes.facts import Facts


def recipe(facts: Facts) -> dict[str, object]:
    """Return the pieces of the recipe."""
    return {
        "schedule": {"name": "exploding-linear", "sigma_max": 20.0, "sigma_min": 0.02},
        "prediction": "data",
        "weighting": "data",
        "times": "uniform",
        "sampling": {"sampler": "renoise", "grid": "uniform", "steps": 50},
    }

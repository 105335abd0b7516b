"""Vectors, such as points in the plane: EDM with a multilayer perceptron, sampled by Heun."""

from sfumato.recipes import images
from sfumato.recipes.facts import Facts


def recipe(facts: Facts) -> dict[str, object]:
    """Return the pieces of the recipe: those of pictures, unguided, with an exact grid and a plain solver."""
    grid = {"name": "rho", "rho": 7.0, "ratio_min": 0.002}
    sampling = {"sampler": "heun", "grid": grid, "steps": 24}
    return {**images.recipe(facts), "objective": "denoising", "sampling": sampling}

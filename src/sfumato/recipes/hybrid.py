"""Improved DDPM: the simple loss for the mean, a thousandth of the bound for the variance.

(Nichol & Dhariwal 2021, equation 16.)
"""

from sfumato.recipes import bound, ddpm
from sfumato.recipes.facts import Facts


def recipe(facts: Facts) -> dict[str, object]:
    """Return the pieces of the recipe: those of the bound, with steps drawn alike."""
    times = {"name": "steps", "steps": ddpm.STEPS}
    return {**bound.recipe(facts), "times": times, "objective": "hybrid"}

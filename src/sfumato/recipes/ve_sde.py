"""The variance exploding stochastic differential equation (Song et al. 2021), by predictor and corrector."""

from sfumato.recipes import vp_sde
from sfumato.recipes.facts import Facts


def recipe(facts: Facts) -> dict[str, object]:
    """Return the pieces of the recipe: those of the preserving equation on growing noise."""
    return {**vp_sde.recipe(facts), "schedule": {"name": "exploding", "sigma_min": 0.01, "sigma_max": 20.0}}

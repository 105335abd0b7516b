"""The sub-VP stochastic differential equation, whose noise stays below the preserving one's.

(Song et al. 2021, section 3.4: made for likelihoods.)
"""

from sfumato.recipes import vp_sde
from sfumato.recipes.facts import Facts


def recipe(facts: Facts) -> dict[str, object]:
    """Return the pieces of the recipe: those of the preserving equation under less noise."""
    return {**vp_sde.recipe(facts), "schedule": "sub-vp"}

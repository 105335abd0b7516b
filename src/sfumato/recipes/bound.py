"""A learned mean and covariance, trained by the variational bound alone (Nichol & Dhariwal 2021, section 3).

Each draw is one term of the bound, so steps are drawn by importance, or the loss would be noise.
"""

from sfumato.recipes import ddpm
from sfumato.recipes.facts import Facts


def recipe(facts: Facts) -> dict[str, object]:
    """Return the pieces of the recipe: DDPM's, with a variance and its objective."""
    return {
        **ddpm.recipe(facts),
        "variance": "learned",
        "times": {"name": "importance-steps", "steps": ddpm.STEPS},
        "objective": "bound",
        "sampling": {"sampler": "ancestral-learned", "grid": "uniform", "steps": ddpm.SAMPLED},
    }

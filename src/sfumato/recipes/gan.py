"""A generative adversarial network (rows N5, R2): sharp pictures in one step, by a game that holds still.

The step follows the latest gradient alone, without the memory of earlier ones (momentum 0): in a game that
turns, a memory pushes outwards (Mescheder et al. 2018; Karras et al. 2018 train so as well).
"""

from sfumato.recipes.facts import Facts


def recipe(facts: Facts) -> dict[str, object]:
    """Return the family and how it is trained."""
    training = (
        {"batch": 64, "learning_rate": 2e-3} if facts.is_pictures else {"batch": 256, "learning_rate": 6e-3}
    )
    return {
        "family": "gan",
        "optimiser": {"name": "adamw", "weight_decay": 0.0, "momentum": 0.0},
        "training": training,
    }

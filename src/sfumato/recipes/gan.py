"""A generative adversarial network (rows N5, R2): sharp pictures in one step, by a game that holds still.

The step follows the latest gradient alone, without the memory of earlier ones (momentum 0): in a game that
turns, a memory pushes outwards (Mescheder et al. 2018; Karras et al. 2018 train so as well).

Vectors are made of as many numbers of noise as they have themselves, so that the map from one to the other
need not fold; in float32, because a cluster can be narrower than the steps of a shorter format; and without
labels, because what a game does to the modes of points is what points are there to show. Their penalties are
measured on every row, which costs small networks little; they are weak and fade to a fiftieth, because a
critic that must stay flat leaves clusters blurred. benchmarks/collapse.py trains this recipe, and the
lecture's game, on a ring and on a grid of Gaussians.
"""

from sfumato.recipes.facts import Facts


def recipe(facts: Facts) -> dict[str, object]:
    """Return the family and how it is trained."""
    return {
        "optimiser": {"name": "adamw", "weight_decay": 0.0, "momentum": 0.0},
        **(_of_pictures() if facts.is_pictures else _of_points(facts.shape[0])),
    }


def _of_pictures() -> dict[str, object]:
    return {"family": "gan", "training": {"batch": 64, "learning_rate": 2e-3}}


def _of_points(dimensions: int) -> dict[str, object]:
    penalties = {"r1": 0.1, "r2": 0.1, "fall": 0.02, "share": 1.0}
    return {
        "family": {"name": "gan", **penalties, "latent": dimensions, "width": 128, "labels": False},
        "precision": "fp32",
        "training": {"batch": 256, "learning_rate": 6e-3},
    }

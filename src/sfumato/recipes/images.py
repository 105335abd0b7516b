"""Pictures, good and fast: EDM (Karras et al. 2022), guided in training, in eight evaluations.

The network predicts a unit-variance mixture of data and noise, trained mostly at middling noise levels. With
labels it learns the guided model itself, so that sampling asks it once a step and no guidance is needed.
UniPC walks from pure noise to a fifth of the picture's range and takes the estimate there: a network of a few
minutes knows nothing of finer noise that another step could use (docs/speed.md).
"""

import math

from sfumato.recipes import edm
from sfumato.recipes.facts import Facts

GUIDANCE = ((60.0, 1.5), (300.0, 1.3), (math.inf, 1.2))
GUIDANCE_OF_SMALL = ((30.0, 1.5), (math.inf, 1.1))
"""The weight that is learned in training times below so many seconds, for pictures and for small ones; where
only steps are known, that of a short training.

What a short training leaves unclear, guidance makes up for; what a long one has learned, too much of it takes
away, and small pictures are learned sooner. 'objective=denoising' trains without.
"""

TIMES = {"name": "log-normal", "mean": -0.4, "std": 1.2}
TIMES_OF_WORDS = {"name": "log-normal", "mean": 0.9, "std": 1.2}
"""What a sentence says, how many things and where, is settled where noise is strong (docs/words.md)."""
GUIDANCE_OF_WORDS = 2.0
"""Of sampling, where captions or embeddings are told, in place of learned guidance: what is asked for is
followed more exactly, with less variety."""


def recipe(facts: Facts) -> dict[str, object]:
    """Return the pieces of the recipe."""
    table = GUIDANCE_OF_SMALL if facts.is_small else GUIDANCE
    guidance = next(weight for seconds, weight in table if facts.seconds < seconds)
    worded = not {"text", "embedding"}.isdisjoint(facts.conditions())
    return {
        **edm.recipe(facts),
        "objective": {"name": "guided", "guidance": guidance}
        if facts.labels() and not worded
        else "denoising",
        "times": TIMES_OF_WORDS if worded else TIMES,
        "sampling": {
            "sampler": "unipc",
            "grid": {"name": "rho", "rho": 4.0, "ratio_min": 0.2},
            "steps": 8,
            "guidance": GUIDANCE_OF_WORDS if worded else 1.0,
        },
    }

"""The numbers of a vector one after another: points, or embeddings from captions.

In the codes of an encoder, `--latent RUN`, on data with captions, this is the autoregressive prior of
DALL·E 2 (row R12), beside the diffusion prior of recipe `prior`. As theirs it sees the principal components
of codes, the greatest first, and is told captions alone.
"""

from sfumato.errors import ConfigError
from sfumato.recipes.facts import Facts


def recipe(facts: Facts) -> dict[str, object]:
    """Return the family and how it is trained; raise ConfigError for pictures."""
    if len(facts.shape) != 1:
        raise ConfigError("one number after another is for vectors: choose --recipe next-pixel for pictures.")
    seen = facts.principal()
    return {
        "latent": seen.latent,
        "family": {"name": "next-number", "layers": 3},
        **seen.causal_training(),
        "conditions": seen.captions() or seen.conditions(),
    }

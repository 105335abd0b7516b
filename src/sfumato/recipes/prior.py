"""The prior of DALL·E 2 (row R12): from a caption to the embedding of a picture that it fits.

    L = E |f(z_t, t, caption) − z|²

(Ramesh et al. 2022, "Hierarchical text-conditional image generation with CLIP latents", equation 2.)

A diffusion model whose examples are the codes of another run, `--latent RUN`, on the cosine schedule, which
predicts the embedding itself. Its loss is of all numbers alike, as theirs is, and each is standardised. Where
they use a transformer and tens of steps, a perceptron that is told the caption and ten steps do here.

Weak guidance neither helps nor harms it and makes negative prompts work; strong guidance makes embeddings
that no picture has (benchmarks/dalle_guidance.py).
"""

from sfumato.errors import ConfigError
from sfumato.recipes.facts import Facts

GUIDANCE = 1.5


def recipe(facts: Facts) -> dict[str, object]:
    """Return the pieces of the recipe; raise ConfigError without captions, or without embeddings to make."""
    if facts.latent is None or len(facts.shape) != 1:
        raise ConfigError(
            "a prior makes embeddings, which are vectors: name the run that they are of by --latent RUN, one "
            "of --recipe clip."
        )
    if facts.text is None:
        raise ConfigError(
            "a prior goes from captions to embeddings, and this data has no captions: use data that has."
        )
    return {
        "network": {"name": "mlp", "width": 384, "layers": 4},
        "conditions": facts.captions(),
        "schedule": "cosine",
        "prediction": "data",
        "weighting": "data",
        "times": "uniform",
        "training": {"batch": 256, "learning_rate": 2e-3},
        "sampling": {"sampler": "dpm++2m", "grid": "log-snr", "steps": 10, "guidance": GUIDANCE},
    }

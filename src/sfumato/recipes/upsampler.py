"""Pictures made twice as large: a diffusion model that is shown the smaller one beside its noise (row R11).

The smaller picture says nearly everything, so most of the network's work is done at a quarter of the side,
and what it learns is what the small one leaves open: edges and textures. Words are told too, where there are
any (Nichol et al. 2022, "GLIDE", section 4).
"""

from sfumato.errors import ConfigError
from sfumato.recipes import images
from sfumato.recipes.facts import Facts

FACTOR = 2


def recipe(facts: Facts) -> dict[str, object]:
    """Return the pieces of the recipe; raise ConfigError for what cannot be halved."""
    if not facts.is_pictures or facts.latent or any(side % (FACTOR * 8) for side in facts.shape[1:]):
        raise ConfigError(
            f"the upsampler is for pictures whose sides are multiples of {FACTOR * 8}, not for examples of "
            f"shape {facts.shape}: read them with --size 64."
        )
    channels, height, width = facts.shape
    small = (channels, height // FACTOR, width // FACTOR)
    usual = images.recipe(facts)
    assert isinstance(usual["sampling"], dict)
    return {
        **usual,
        "objective": "denoising",
        "times": images.TIMES,
        "sampling": {**usual["sampling"], "guidance": 1.0},
        "conditions": {**facts.conditions(), "picture": {"name": "picture", "shape": small}},
        "network": {"name": "unet", "widths": [64, 128], "blocks": 1, "fold": 4 if height >= 48 else 2},
    }

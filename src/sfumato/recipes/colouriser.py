"""Colours for grey pictures: a diffusion model that is shown the grey one beside its own noise.

(Saharia et al. 2022, "Palette: image-to-image diffusion models".) Colours that the grey leaves open come out
otherwise for another seed; words are told too, where there are any.
"""

from sfumato.errors import ConfigError
from sfumato.recipes import images
from sfumato.recipes.facts import Facts


def recipe(facts: Facts) -> dict[str, object]:
    """Return the pieces of the recipe; raise ConfigError for pictures without colours."""
    if not facts.is_pictures or facts.latent or facts.shape[0] != 3:
        raise ConfigError(
            f"the colouriser is for colour pictures, not for examples of shape {facts.shape}: read them with "
            "--channels 3."
        )
    grey = (1, *facts.shape[1:])
    return {
        **images.recipe(facts),
        "objective": "denoising",
        "conditions": {**facts.conditions(), "picture": {"name": "grey", "shape": grey}},
    }

"""The hierarchy of row H2 with latents of the data's own size, each level with its own pair of networks."""

from sfumato.recipes.facts import Facts


def recipe(facts: Facts) -> dict[str, object]:
    """Return the family and how it is trained."""
    return {
        "family": {"name": "equal-vae", "decoder": facts.decoder()},
        **facts.likelihood_training(),
    }

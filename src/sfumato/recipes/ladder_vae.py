"""A ladder of latents, read bottom up and drawn top down (Sønderby et al. 2016, Vahdat & Kautz 2020)."""

from sfumato.recipes.facts import Facts


def recipe(facts: Facts) -> dict[str, object]:
    """Return the family and how it is trained."""
    return {
        "family": {"name": "ladder-vae", "decoder": facts.decoder()},
        **facts.likelihood_training(),
    }

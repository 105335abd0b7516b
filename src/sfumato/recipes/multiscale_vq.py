"""The tokenizer of VAR: a picture as maps of words from coarse to fine, for a model of maps to learn."""

from sfumato.recipes.facts import Facts


def recipe(facts: Facts) -> dict[str, object]:
    """Return the family and how it is trained."""
    return {
        "family": {
            "name": "multiscale-vq",
            "codes": 64 if facts.is_small else 256,
            "depth": 4 if facts.is_small else 8,
            "decoder": facts.decoder(),
        },
        **facts.likelihood_training(),
    }

"""Recipes of several models in one folder: a stage each, with its own recipe and its share of the time."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Stage:
    """A stage of a cascade.

    name: of its folder; recipe: one of `RECIPES`; share: of the budget; gives: the condition that what it
    makes is for those after it, None of the last; smaller: by how much its pictures are smaller than the last
    stage's; codes_of: the stage in whose codes it lives; told_by: the stage whose codes it is told;
    samples: whether it takes part in sampling.
    """

    name: str
    recipe: str
    share: float
    gives: str | None = None
    smaller: int = 1
    codes_of: str | None = None
    told_by: str | None = None
    samples: bool = True


UPSAMPLER = "upsampler"


def _through_an_embedding(prior: str) -> tuple[Stage, ...]:
    """Return the stages of DALL·E 2; prior: the recipe of what makes embeddings of captions."""
    return (
        Stage("clip", "clip", 0.15, smaller=2, samples=False),
        Stage("prior", prior, 0.15, gives="embedding", smaller=2, codes_of="clip"),
        Stage("decoder", "images", 0.5, gives="picture", smaller=2, told_by="clip"),
        Stage("upsampler", UPSAMPLER, 0.2),
    )


CASCADES = {
    "glide": (
        Stage("base", "images", 0.7, gives="picture", smaller=2),
        Stage("upsampler", UPSAMPLER, 0.3),
    ),
    "dalle": _through_an_embedding("prior"),
    "dalle-autoregressive": _through_an_embedding("next-number"),
    "next-token": (
        Stage("tokenizer", "vq-vae", 0.25, samples=False),
        Stage("transformer", "token-transformer", 0.75, codes_of="tokenizer"),
    ),
    "var": (
        Stage("tokenizer", "multiscale-vq", 0.25, samples=False),
        Stage("transformer", "scale-transformer", 0.75, codes_of="tokenizer"),
    ),
}
"""Cascades by name."""

TOLD = {
    "glide": "pictures from words, then twice as large: text-to-image with an upsampler (use --size 64)",
    "dalle": "an embedding from words, a picture from that, then twice as large, by CLIP (use --size 64)",
    "dalle-autoregressive": "the same, its embeddings made one number after another",
    "next-token": "a tokenizer, then a transformer that writes its tokens one after another",
    "var": "a tokenizer of several scales, then a transformer that writes scale after scale (VAR)",
}
"""A line about each."""

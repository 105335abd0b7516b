"""Recipes: one experiment a file, each a whole configuration fitted to the data at hand.

A recipe is a function from what is known of the data to a configuration; `RECIPES` is the one table of them.
"""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from sfumato.data.dataset import Dataset
from sfumato.errors import ConfigError, unknown
from sfumato.recipes.cascades import CASCADES
from sfumato.recipes.facts import Facts, data_config
from sfumato.runs.config import LatentConfig, RunConfig, parse_config
from sfumato.runs.registry import PIECES
from sfumato.train.budget import Budget

RECIPES = {
    "images": "EDM on exploding noise, guided in training, sampled by UniPC: the default for pictures",
    "upsampler": "pictures of half the size made whole again: the second stage of a cascade",
    "colouriser": "colours for grey pictures",
    "points": "EDM for vectors, with a multilayer perceptron, sampled by Heun: the default for them",
    "ddpm": "noise prediction on linear betas, sampled step by step as in Ho et al. 2020",
    "cosine": "v prediction on the cosine schedule, sampled by DDIM",
    "flow": "rectified flow: velocity prediction on a straight line, sampled by Heun",
    "edm": "EDM as published, sampled by Heun",
    "constant": "lecture N: constant alpha, a network that never sees t, re-noising at one level",
    "exploding": "lecture H: growing noise, data prediction, re-noising down the levels",
    "previous": "lecture A: the previous state predicted, and its reverse sampler",
    "bound": "learned mean and covariance, trained by the variational bound",
    "hybrid": "the simple loss for the mean, the bound for the variance (improved DDPM)",
    "ncsn": "score networks at many noise levels, annealed Langevin dynamics",
    "vp-sde": "the variance preserving SDE, by predictor and corrector",
    "ve-sde": "the variance exploding SDE, by predictor and corrector",
    "subvp-sde": "the sub-VP SDE, by predictor and corrector",
    "linear-autoencoder": "two matrices, which find the principal components",
    "autoencoder": "a convolutional encoder and decoder, whose codes another model can live in (--latent)",
    "denoising-autoencoder": "clean pictures from noisy ones in one jump",
    "masked-autoencoder": "whole pictures from half of their patches",
    "vae": "a variational autoencoder",
    "vq-vae": "a vector-quantised autoencoder: pictures as maps of words",
    "multiscale-vq": "the tokenizer of VAR: pictures as maps of words from coarse to fine",
    "sharpened-multiscale-vq": "the same, sharpened by a critic",
    "hierarchical-vae": "levels of latents, each with its own pair of networks",
    "equal-vae": "levels of latents of the data's own size",
    "shared-vae": "the same, with one pair of networks for all levels",
    "ladder-vae": "a ladder of latents, read bottom up and drawn top down",
    "next-pixel": "a transformer over pixels, one after another, with an exact likelihood",
    "pixel-cnn": "the same by convolutions that look up and left alone (PixelCNN)",
    "next-number": "the numbers of a vector one after another; with --latent, a prior from captions",
    "token-transformer": "a transformer over the tokens of a vq-vae, one after another (--latent)",
    "scale-transformer": "a transformer over the tokens of a multiscale-vq, map after map (--latent)",
    "gan": "a generator and a critic, by a relativistic loss that does not collapse",
    "contrastive": "an encoder of pictures alone, by two views of each",
    "clip": "an encoder of pictures and one of sentences, with one space for both (CLIP)",
    "prior": "an embedding from a caption, in the codes of an encoder (--latent): the prior of DALL·E 2",
}


def default_recipe(facts: Facts) -> str:
    """Return the recipe for whoever names none."""
    return "images" if facts.of_pictures else "points"


def configure(
    dataset: Dataset,
    recipe: str | None = None,
    seed: int = 0,
    settings: tuple[str, ...] = (),
    budget: Budget | None = None,
    latent: LatentConfig | None = None,
    embedding: dict[str, object] | None = None,
    text_encoder: Path | str | None = None,
) -> RunConfig:
    """Return the configuration of a new run on `dataset`.

    settings: "key=value" texts applied over the recipe; budget: how long it is to be trained, by which the
    network's size goes; latent: the encoder in whose codes the model is to live; embedding: the condition
    that the codes are which it is told, see `runs.conditions.embedding`;
    text_encoder: the folder of what reads captions, see `runs.conditions.pretrained`.
    Raises ConfigError for an unknown recipe, key or impossible pair.
    """
    facts = data_config(dataset, budget, latent, embedding, text_encoder)
    name = recipe or default_recipe(facts)
    made = _maker(name)(facts)
    if embedding is not None and {"family", "conditions"} & made.keys():
        raise ConfigError(f"a model of recipe '{name}' is told no embeddings: leave out the encoder.")
    if text_encoder is not None and ("family" in made or embedding is not None):
        raise ConfigError(f"this model of recipe '{name}' is told no features: leave out the text encoder.")
    # A family of its own brings its networks; a diffusion model's network is a piece like its others, and it
    # can be told whatever is known.
    usual = {} if "family" in made else {"network": facts.network(), "conditions": facts.conditions()}
    tree = {"recipe": name, "seed": seed, **facts.common(), **usual, **made}
    return parse_config(tree).with_settings(settings)


def _maker(name: str) -> Callable[[Facts], dict[str, object]]:
    """Return the recipe of a name; a registered family without one of its own is taken with its defaults."""
    if name in RECIPES:
        recipe: Callable[[Facts], dict[str, object]] = import_module(
            f"sfumato.recipes.{name.replace('-', '_')}"
        ).recipe
        return recipe
    if name in PIECES["family"]:
        return lambda facts: {"family": name}
    if name in CASCADES:
        raise ConfigError(
            f"'{name}' is several models in one folder: train it by 'sfumato train DATA --recipe {name}' "
            "or sfumato.fit_cascade."
        )
    raise unknown("recipe", name, [*RECIPES, *PIECES["family"], *CASCADES])

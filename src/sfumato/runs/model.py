"""From a configuration to the model it describes, and what is asked of any model."""

import torch
from torch import Tensor

from sfumato.condition import Condition
from sfumato.errors import ConfigError
from sfumato.families.agreements import (
    Autoencoder,
    DataFacts,
    Encoder,
    Exact,
    PictureTokenizer,
    TextEncoder,
    TextFacts,
    TokenFacts,
)
from sfumato.nets.conditions import TEXT
from sfumato.nets.embedding import LABEL
from sfumato.runs.agreements import Model
from sfumato.runs.build import build_diffusion, data_bounds, seeded_weights
from sfumato.runs.conditions.build import kinds
from sfumato.runs.config import DiffusionConfig, FamilyConfig, RunConfig
from sfumato.runs.diffusion_model import DiffusionModel
from sfumato.runs.family_model import FamilyModel
from sfumato.runs.registry import build


def build_model(config: RunConfig) -> Model:
    """Build what a configuration describes, with weights that depend on its seed alone.

    Raises ConfigError where its pieces do not go together.
    """
    if isinstance(config, DiffusionConfig):
        return DiffusionModel(config, build_diffusion(config))
    assert isinstance(config, FamilyConfig)
    with seeded_weights(config.seed, "weights"):
        family = build("family", config.family, {}).build(_facts(config))
    if len(config.shape) == 3:
        for player in family.players():
            player.module.to(memory_format=torch.channels_last)
    return FamilyModel(config, family)


def _facts(config: RunConfig) -> DataFacts:
    """Return what a family is built for: the examples, and what it is told of them."""
    said, latent = config.conditions.get(TEXT), config.latent
    return DataFacts(
        config.shape,
        classes=len(config.data.classes) if LABEL in config.conditions else 0,
        bounds=data_bounds(config),
        std=config.data.std,
        text=TextFacts(said["vocabulary"], said["length"]) if said and "vocabulary" in said else None,
        tokens=TokenFacts(latent.vocabulary, latent.maps) if latent and latent.tokens else None,
        told=kinds(config),
        drop=config.training.condition_drop,
    )


def codes(model: Model, x: Tensor, condition: Condition | None) -> Tensor:
    """Return the codes of x: (B, ...) as (B, *latent); raise ConfigError for a model that has none."""
    if not isinstance(model, FamilyModel) or not isinstance(model.family, Encoder):
        raise ConfigError(
            f"this is {model.called}, which has no codes: encode by an autoencoder's or a contrastive run."
        )
    with model.running():
        return model.family.encode(x, condition).float()


def text_codes(model: Model, tokens: Tensor) -> Tensor:
    """Return the codes of sentences, rows of tokens (B, L), in the space of those of examples: (B, D).

    Raises ConfigError for a model that knows no sentence by a code.
    """
    if not isinstance(model, FamilyModel) or not isinstance(model.family, TextEncoder):
        raise ConfigError(f"this is {model.called}, which has no codes of sentences: use a run of 'clip'.")
    with model.running():
        return model.family.encode_text(tokens).float()


def tokens(model: Model, x: Tensor) -> Tensor:
    """Return the tokens of x: (B, C, H, W) as int64 (B, L); raise ConfigError where it has none."""
    if not isinstance(model, FamilyModel) or not isinstance(model.family, PictureTokenizer):
        raise ConfigError(f"this is {model.called}, which writes no tokens: use a run of --recipe vq-vae.")
    with model.running():
        return model.family.tokens(x)


def from_tokens(model: Model, written: Tensor) -> Tensor:
    """Return what tokens (B, L) stand for: (B, C, H, W), of a model that writes some."""
    assert isinstance(model, FamilyModel)
    with model.running():
        seen: Tensor = model.family.decode_tokens(written)
        return seen.float()


def log_prob(model: Model, x: Tensor, condition: Condition | None) -> Tensor:
    """Return log p of x: (B, ...) in nats, in full precision: (B,).

    Raises ConfigError for a model that does not know it.
    """
    if not isinstance(model, FamilyModel) or not isinstance(model.family, Exact):
        raise ConfigError(f"this is {model.called}, which has no exact likelihood.")
    with torch.inference_mode():
        return model.family.log_prob(x, condition)


def decoded(model: Model, z: Tensor, condition: Condition | None) -> Tensor:
    """Return what codes z: (B, *latent) stand for: (B, ...).

    Raises ConfigError for a model that decodes nothing, and for codes of another shape.
    """
    if not isinstance(model, FamilyModel) or not isinstance(model.family, Autoencoder):
        raise ConfigError(f"this is {model.called}, which decodes nothing: use an autoencoder's run.")
    wanted = tuple(model.family.latent_shape)
    if tuple(z.shape[1:]) != wanted:
        raise ConfigError(f"codes of this model have the shape {wanted}, not {tuple(z.shape[1:])}.")
    with model.running():
        return model.family.decode(z, condition).float()

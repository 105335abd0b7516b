"""The one place where names become pieces.

A configuration writes a piece as {"name": "cosine", "offset": 0.008}. Every piece is a frozen dataclass, or
a function that returns one; its parameters are the keys a configuration may set, and their types and its own
checks say what is allowed. An unknown name or key is refused with the choices.
"""

import inspect
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from pydantic import TypeAdapter, ValidationError

from sfumato.data.scaling import Pixels, Standardise
from sfumato.diffusion import (
    bound_objective,
    grids,
    guided_objective,
    objective,
    prediction,
    samplers,
    schedules,
    thresholding,
    times,
    variance,
    view,
    weighting,
)
from sfumato.errors import ConfigError, unknown
from sfumato.families.adversarial import gan
from sfumato.families.autoencoders import autoencoder, multiscale_vq, sharpened, vq_vae
from sfumato.families.autoregressive import next_number, next_pixel, next_token
from sfumato.families.contrasting import clip, contrastive
from sfumato.families.hierarchies import hierarchical, ladder
from sfumato.families.variational import vae
from sfumato.runs.conditions import attributes, embedding, label, picture, pretrained, text
from sfumato.runs.networks import MLPShape, UNetShape
from sfumato.train.muon import Muon
from sfumato.train.optimiser import AdamW

Spec = dict[str, Any]
"""A piece as a configuration writes it: its name and its options."""

PIECES: dict[str, dict[str, Callable[..., Any]]] = {
    "family": {
        "linear-autoencoder": autoencoder.LinearAutoencoder,
        "autoencoder": autoencoder.Autoencoder,
        "denoising-autoencoder": autoencoder.DenoisingAutoencoder,
        "masked-autoencoder": autoencoder.MaskedAutoencoder,
        "vae": vae.VAE,
        "vq-vae": vq_vae.VQVAE,
        "multiscale-vq": multiscale_vq.MultiScaleVQ,
        "sharpened-multiscale-vq": sharpened.SharpenedMultiScaleVQ,
        "hierarchical-vae": hierarchical.PairsVAE,
        "equal-vae": hierarchical.EqualVAE,
        "shared-vae": hierarchical.SharedVAE,
        "ladder-vae": ladder.LadderVAE,
        "gan": gan.GAN,
        "contrastive": contrastive.Contrastive,
        "clip": clip.CLIP,
        "next-pixel": next_pixel.NextPixel,
        "pixel-cnn": next_pixel.NextPixelByConvolution,
        "next-number": next_number.NextNumber,
        "token-transformer": next_token.NextToken,
        "scale-transformer": next_token.NextScale,
    },
    "condition": {
        "label": label.LabelCondition,
        "text": text.TextCondition,
        "pretrained-text": pretrained.PretrainedTextCondition,
        "attributes": attributes.AttributesCondition,
        "picture": picture.PictureCondition,
        "grey": picture.GreyCondition,
        "embedding": embedding.EmbeddingCondition,
    },
    "scaling": {"pixels": Pixels, "standardise": Standardise},
    "network": {"unet": UNetShape, "mlp": MLPShape},
    "schedule": {
        "linear": schedules.LinearVP,
        "linear-betas": schedules.LinearBetas,
        "cosine-betas": schedules.cosine_betas,
        "betas": schedules.Betas,
        "cosine": schedules.CosineVP,
        "sub-vp": schedules.SubVP,
        "constant": schedules.ConstantAlpha,
        "exploding": schedules.GeometricVE,
        "exploding-linear": schedules.LinearVE,
        "exploding-steps": schedules.NoiseSteps,
        "flow": schedules.RectifiedFlow,
    },
    "prediction": {
        "noise": prediction.Noise,
        "data": prediction.Data,
        "score": prediction.Score,
        "v": prediction.V,
        "velocity": prediction.Velocity,
        "edm": prediction.EDM,
        "previous": prediction.Previous,
    },
    "view": {"level": view.WithLevel, "time-free": view.TimeFree},
    "variance": {
        "small": variance.FixedSmall,
        "large": variance.FixedLarge,
        "learned": variance.LearnedRange,
    },
    "weighting": {
        "noise": weighting.InNoise,
        "data": weighting.InData,
        "v": weighting.InV,
        "velocity": weighting.InVelocity,
        "min-snr": weighting.MinSNR,
        "edm": weighting.InEDM,
        "sigmoid": weighting.Sigmoid,
        "output": weighting.InOutput,
    },
    "times": {
        "uniform": times.Uniform,
        "log-normal": times.LogNormal,
        "logit-normal": times.LogitNormal,
        "steps": times.Steps,
        "importance-steps": times.ImportanceSteps,
    },
    "objective": {
        "denoising": objective.DenoisingLoss,
        "bound": bound_objective.VariationalBound,
        "hybrid": bound_objective.Hybrid,
        "guided": guided_objective.GuidedLoss,
    },
    "optimiser": {"adamw": AdamW, "muon": Muon},
    "sampler": {
        "ddim": samplers.ddim,
        "ancestral": samplers.ancestral,
        "ancestral-large": samplers.ancestral_large,
        "ancestral-learned": samplers.ancestral_learned,
        "renoise": samplers.renoise,
        "fixed-level": samplers.fixed_level,
        "fixed-level-stale": samplers.fixed_level_stale,
        "euler": samplers.Euler,
        "heun": samplers.Heun,
        "adaptive-ode": samplers.AdaptiveODE,
        "euler-maruyama": samplers.EulerMaruyama,
        "churn": samplers.Churn,
        "langevin": samplers.AnnealedLangevin,
        "predictor-corrector": samplers.predictor_corrector,
        "dpm++2m": samplers.dpm_2m,
        "dpm++3m": samplers.dpm_3m,
        "dpm++2m-sde": samplers.SDEDPMSolverPP2M,
        "unipc": samplers.unipc,
        "unipc-bh1": samplers.unipc_bh1,
        "adams-bashforth": samplers.AdamsBashforth,
    },
    "grid": {
        "uniform": grids.UniformGrid,
        "quadratic": grids.QuadraticGrid,
        "trailing": grids.TrailingGrid,
        "linspaced": grids.LinspacedGrid,
        "leading": grids.LeadingGrid,
        "log-snr": grids.LogSNRGrid,
        "rho": grids.RhoGrid,
        "fitted": grids.FittedGrid,
    },
    "threshold": {"static": thresholding.Static, "dynamic": thresholding.Dynamic, "none": lambda: None},
}

FROM_OTHERS = ("prediction", "view", "variance", "weighting", "times", "objective")
"""The kinds whose pieces may be made from the data's facts and from other pieces."""

GIVEN = ("sigma_data", "schedule", "prediction", "weighting", "times", "decoder")
"""Parameters that a run fills in from its data and its other pieces, wherever a piece has them."""

Context = Mapping[str, Any]
"""What there is to fill in, by the names of `GIVEN`."""


def register(kind: str, name: str, piece: Callable[..., Any]) -> None:
    """Give a piece of your own a name that configurations may use; its parameters become its options.

    kind: such as "schedule" or "sampler". Raises ConfigError for an unknown kind and for a taken name.
    """
    if kind not in PIECES:
        raise unknown("kind of piece", kind, PIECES)
    if PIECES[kind].get(name, piece) is not piece:
        raise ConfigError(f"there is a {kind} '{name}' already: choose another name.")
    PIECES[kind][name] = piece


@cache
def _adapter(annotation: Any) -> TypeAdapter[Any]:
    return TypeAdapter(annotation)


def parameters(kind: str, name: str) -> Mapping[str, inspect.Parameter]:
    """Return the options of a piece; raise ConfigError for a name that is not known."""
    if name not in PIECES[kind]:
        raise unknown(kind, name, PIECES[kind])
    return inspect.signature(PIECES[kind][name]).parameters


def _checked(kind: str, name: str, key: str, value: Any, annotation: Any) -> Any:
    try:
        return _adapter(annotation).validate_python(value)
    except ValidationError as error:
        reason = error.errors()[0]["msg"]
        raise ConfigError(f"{kind} '{name}': {key} = {value!r} will not do ({reason}).") from error


def complete(kind: str, spec: str | Mapping[str, Any]) -> Spec:
    """Return the whole of a spec: given options checked, the others at their defaults.

    spec: a name alone, or a mapping with `name`. Raises ConfigError that names the key and the choices.
    """
    if not isinstance(spec, str | Mapping):
        known_names = ", ".join(sorted(PIECES[kind]))
        raise ConfigError(f"a {kind} is a name, not {spec!r}: choose from {known_names}.")
    given = {"name": spec} if isinstance(spec, str) else dict(spec)
    name = given.pop("name", None)
    if not isinstance(name, str):
        raise ConfigError(f"a {kind} needs a name: {', '.join(sorted(PIECES[kind]))}.")
    known = parameters(kind, name)
    for key in given:
        if key not in known:
            raise (
                unknown(f"option of the {kind} '{name}':", key, known)
                if known
                else ConfigError(f"the {kind} '{name}' has no options, so '{key}' cannot be set.")
            )
    whole: Spec = {"name": name}
    for key, parameter in known.items():
        if key in given:
            whole[key] = _checked(kind, name, key, given[key], parameter.annotation)
        elif key in GIVEN and kind in FROM_OTHERS:
            continue
        elif parameter.default is not parameter.empty:
            whole[key] = parameter.default
        else:
            raise ConfigError(f"the {kind} '{name}' needs '{key}'.")
    return whole


def build(kind: str, spec: Mapping[str, Any], context: Context) -> Any:
    """Build the piece that a complete spec describes; what is in `context` goes to pieces that ask for it."""
    options = {key: value for key, value in spec.items() if key != "name"}
    for key in parameters(kind, spec["name"]):
        if key in GIVEN and kind in FROM_OTHERS:
            options.setdefault(key, context[key])
    return PIECES[kind][spec["name"]](**options)

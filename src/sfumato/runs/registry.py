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
from sfumato.diffusion import grids, prediction, samplers, schedules, times, weighting
from sfumato.errors import ConfigError, unknown
from sfumato.runs.networks import MLPShape, UNetShape

Spec = dict[str, Any]
"""A piece as a configuration writes it: its name and its options."""

PIECES: dict[str, dict[str, Callable[..., Any]]] = {
    "scaling": {"pixels": Pixels, "standardise": Standardise},
    "network": {"unet": UNetShape, "mlp": MLPShape},
    "schedule": {
        "linear": schedules.LinearVP,
        "linear-betas": schedules.LinearBetas,
        "cosine-betas": schedules.cosine_betas,
        "betas": schedules.Betas,
        "cosine": schedules.CosineVP,
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
    },
    "weighting": {
        "noise": weighting.InNoise,
        "data": weighting.InData,
        "v": weighting.InV,
        "velocity": weighting.InVelocity,
        "min-snr": weighting.MinSNR,
        "edm": weighting.InEDM,
        "sigmoid": weighting.Sigmoid,
    },
    "times": {"uniform": times.Uniform, "log-normal": times.LogNormal, "logit-normal": times.LogitNormal},
    "sampler": {
        "ddim": samplers.ddim,
        "ancestral": samplers.ancestral,
        "renoise": samplers.renoise,
        "euler": samplers.Euler,
        "heun": samplers.Heun,
        "dpm++2m": samplers.DPMSolverPP2M,
    },
    "grid": {"uniform": grids.UniformGrid, "log-snr": grids.LogSNRGrid, "rho": grids.RhoGrid},
}

MEASURED = "sigma_data"
"""A parameter that a run fills in from its data, wherever a piece has it."""


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
        elif parameter.default is not parameter.empty and key != MEASURED:
            whole[key] = parameter.default
        elif key != MEASURED:
            raise ConfigError(f"the {kind} '{name}' needs '{key}'.")
    return whole


def build(kind: str, spec: Mapping[str, Any], sigma_data: float) -> Any:
    """Build the piece that a complete spec describes; `sigma_data` goes to pieces that ask for it."""
    options = {key: value for key, value in spec.items() if key != "name"}
    if MEASURED in parameters(kind, spec["name"]):
        options.setdefault(MEASURED, sigma_data)
    return PIECES[kind][spec["name"]](**options)

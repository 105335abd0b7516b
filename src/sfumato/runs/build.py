"""From a configuration to the diffusion model it describes, and how it is sampled."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from sfumato.data.scaling import Scaling
from sfumato.diffusion.decoder import ContinuousGaussian, Decoder, DiscretisedGaussian
from sfumato.diffusion.denoiser import NetworkDenoiser
from sfumato.diffusion.guidance import ALWAYS, OFF
from sfumato.diffusion.guided_objective import GuidedLoss
from sfumato.diffusion.samplers import check_sampler, check_variance
from sfumato.errors import ConfigError, unknown
from sfumato.families.diffusion import Diffusion, SamplingOptions
from sfumato.randomness import generator
from sfumato.runs.conditions.build import always, conditioning, kinds
from sfumato.runs.config import DiffusionConfig, RunConfig
from sfumato.runs.registry import build, complete


def build_scaling(config: RunConfig) -> Scaling:
    """Build the map between examples and what the model sees."""
    scaling: Scaling = build("scaling", config.scaling, {})
    return scaling


def data_bounds(config: RunConfig) -> tuple[float, float] | None:
    """Return the least and greatest value of what the model sees; codes have none."""
    return None if config.latent else build_scaling(config).bounds


def build_decoder(bounds: tuple[float, float] | None) -> Decoder:
    """Build the likelihood of the data: of bytes in their bins, or a density where it has no bounds."""
    if bounds is None:
        return ContinuousGaussian()
    low, high = bounds
    return DiscretisedGaussian((high - low) / 255, bounds)


@contextmanager
def seeded_weights(seed: int, purpose: str) -> Iterator[None]:
    """Fence in and seed the draws of torch's initialisers, which know no generator."""
    with torch.random.fork_rng(devices=[]):
        torch.random.set_rng_state(generator(seed, purpose).get_state())
        yield


def build_network(config: DiffusionConfig, outputs: int) -> nn.Module:
    """Build the network with initial weights that depend on the seed alone."""
    shape = build("network", config.network, {})
    with seeded_weights(config.seed, "weights"):
        network = shape.build(config.shape, kinds(config), outputs)
    memory = torch.channels_last if len(config.shape) == 3 else torch.contiguous_format
    return network.to(memory_format=memory)


def build_context(config: DiffusionConfig) -> dict[str, Any]:
    """Build the pieces that make a model, by kind, and what they are made from."""
    context: dict[str, Any] = {
        "sigma_data": config.data.std,
        "decoder": build_decoder(data_bounds(config)),
    }
    # In this order: a later piece may be made from an earlier one.
    for kind in ("schedule", "prediction", "view", "variance", "weighting", "times", "objective"):
        context[kind] = build(kind, getattr(config, kind), context)
    return context


def build_diffusion(config: DiffusionConfig) -> Diffusion:
    """Build the model; raise ConfigError where its pieces do not go together."""
    context = build_context(config)
    network = build_network(config, context["variance"].outputs)
    denoiser = NetworkDenoiser(
        network, *(context[kind] for kind in ("schedule", "prediction", "view", "variance"))
    )
    context["objective"].check(denoiser)
    return Diffusion(
        module=network,
        denoiser=denoiser,
        objective=context["objective"],
        times=context["times"],
        conditioning=conditioning(config),
        bounds=data_bounds(config),
    )


def build_sampling(config: DiffusionConfig, family: Diffusion) -> SamplingOptions:
    """Build the way to sample that a configuration describes.

    Raises ConfigError where sampler or grid do not fit the schedule, or guidance has nothing to guide.
    """
    sampling, schedule = config.sampling, family.denoiser.schedule
    sampler, grid = (build(kind, getattr(sampling, kind), {}) for kind in ("sampler", "grid"))
    check_sampler(sampler, schedule)
    check_variance(sampler, family.denoiser.variance)
    grid.times(sampling.steps, schedule)
    if sampling.guidance != OFF or isinstance(family.objective, GuidedLoss):
        require_guidable(config, sampling.guidance)
    threshold = sampling.threshold or ("none" if family.bounds is None else "static")
    options = SamplingOptions(
        sampler,
        grid,
        sampling.steps,
        build("threshold", complete("threshold", threshold), {}),
        sampling.guidance,
        sampling.guidance_interval,
    )
    family.guided(options)  # refuses what cannot be, before anything is sampled
    return options


def refuse_idle_interval(config: DiffusionConfig) -> None:
    """Refuse a new run's interval of guidance where it has no guidance to limit."""
    sampling = config.sampling
    if sampling.guidance == OFF and sampling.guidance_interval != ALWAYS:
        raise ConfigError(
            "sampling.guidance_interval says when guidance acts, and sampling.guidance=1 is none: set "
            "another sampling.guidance, or leave the interval out ('sfumato sample' takes both as well)."
        )


def guidable(config: DiffusionConfig) -> bool:
    """Return whether the model was also trained without something that it is told."""
    return bool(_hidden(config)) and config.training.condition_drop > 0


def require_guidable(config: DiffusionConfig, guidance: object) -> None:
    """Raise ConfigError, with the reason, where there is nothing to guide.

    guidance: a weight, or one for each condition by name.
    """
    known = _hidden(config)
    if not known:
        raise ConfigError(
            "this model is told nothing that can be left out, so there is nothing to guide: use a guidance "
            "of 1 and objective=denoising."
        )
    for name in guidance if isinstance(guidance, dict) else ():
        if name not in known:
            raise unknown("condition to guide by:", name, known)
    if config.training.condition_drop == 0:
        raise ConfigError(
            "guidance needs a model that was also trained without its conditions: set "
            "training.condition_drop=0.1, or sampling.guidance=1 and objective=denoising."
        )


def _hidden(config: DiffusionConfig) -> list[str]:
    """Return the conditions that a training may hide."""
    return [name for name in config.conditions if name not in always(config)]

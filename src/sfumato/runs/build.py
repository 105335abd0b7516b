"""From a configuration to the model it describes."""

from dataclasses import replace

import torch
from torch import nn

from sfumato.data.scaling import Scaling
from sfumato.diffusion.denoiser import NetworkDenoiser
from sfumato.diffusion.guidance import OFF
from sfumato.errors import ConfigError
from sfumato.families.diffusion import PLAYER, Diffusion, SamplingOptions
from sfumato.randomness import generator
from sfumato.runs.config import RunConfig
from sfumato.runs.registry import build
from sfumato.train.device import for_inference


def build_scaling(config: RunConfig) -> Scaling:
    """Build the map between examples and what the model sees."""
    return build("scaling", config.scaling, config.data.std)


def build_network(config: RunConfig) -> nn.Module:
    """Build the network with initial weights that depend on the seed alone."""
    shape = build("network", config.network, config.data.std)
    with torch.random.fork_rng(devices=[]):
        # torch's initialisers know no generator: their draws are fenced in and seeded.
        torch.random.set_rng_state(generator(config.seed, "weights").get_state())
        network = shape.build(config.data.shape, len(config.data.classes))
    memory = torch.channels_last if len(config.data.shape) == 3 else torch.contiguous_format
    return network.to(memory_format=memory)


def build_family(config: RunConfig) -> Diffusion:
    """Build the model; raise ConfigError where its pieces do not go together."""
    std = config.data.std
    network = build_network(config)
    denoiser = NetworkDenoiser(
        network,
        build("schedule", config.schedule, std),
        build("prediction", config.prediction, std),
        sigma_data=std,
    )
    return Diffusion(
        module=network,
        denoiser=denoiser,
        weighting=build("weighting", config.weighting, std),
        times=build("times", config.times, std),
        label_drop=config.training.label_drop,
        bounds=build_scaling(config).bounds,
    )


def build_sampling(config: RunConfig, family: Diffusion) -> SamplingOptions:
    """Build the way to sample that a configuration describes.

    Raises ConfigError where the grid does not fit the schedule, or guidance has nothing to guide.
    """
    sampling = config.sampling
    sampler, grid = (build(kind, getattr(sampling, kind), config.data.std) for kind in ("sampler", "grid"))
    grid.times(sampling.steps, family.denoiser.schedule)
    if sampling.guidance != OFF:
        _require_guidable(config)
    interval = sampling.guidance_interval
    options = SamplingOptions(sampler, grid, sampling.steps, sampling.guidance, interval)
    family.guided(options)  # refuses an interval that is none
    return options


def _require_guidable(config: RunConfig) -> None:
    if not config.data.classes:
        raise ConfigError("this model knows no labels, so there is nothing to guide: use a guidance of 1.")
    if config.training.label_drop == 0:
        raise ConfigError(
            "guidance needs a model that was also trained without labels: set training.label_drop=0.1, or "
            "sampling.guidance=1."
        )


def frozen(family: Diffusion, network: nn.Module, precision: str) -> Diffusion:
    """Return `family` around `network`, which is only sampled from now on."""
    network.requires_grad_(False).eval()
    return replace(family, module=network).with_modules({PLAYER: for_inference(network, precision)})

"""Samplers: rules that turn noise into a sample, a step at a time, in one loop."""

from sfumato.diffusion.samplers.base import (
    Frame,
    Question,
    Sampler,
    Scales,
    Step,
    check_sampler,
    sample_frames,
)
from sfumato.diffusion.samplers.multistep import DPMSolverPP2M
from sfumato.diffusion.samplers.ode import Euler, Heun
from sfumato.diffusion.samplers.stochastic import (
    FixedLevel,
    KappaRule,
    Posterior,
    PosteriorMean,
    Renoise,
    Stochastic,
    ancestral,
    ancestral_large,
    ancestral_learned,
    ddim,
    fixed_level,
    fixed_level_stale,
    renoise,
)

__all__ = [
    "DPMSolverPP2M",
    "Euler",
    "FixedLevel",
    "Frame",
    "Heun",
    "KappaRule",
    "Posterior",
    "PosteriorMean",
    "Question",
    "Renoise",
    "Sampler",
    "Scales",
    "Step",
    "Stochastic",
    "ancestral",
    "ancestral_large",
    "ancestral_learned",
    "check_sampler",
    "ddim",
    "fixed_level",
    "fixed_level_stale",
    "renoise",
    "sample_frames",
]

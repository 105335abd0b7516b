"""Samplers: rules that turn noise into a sample, a step at a time, in one loop."""

from sfumato.diffusion.samplers.base import Frame, Question, Sampler, Scales, Step, sample_frames
from sfumato.diffusion.samplers.multistep import DPMSolverPP2M
from sfumato.diffusion.samplers.ode import Euler, Heun
from sfumato.diffusion.samplers.stochastic import (
    KappaRule,
    Posterior,
    Renoise,
    Stochastic,
    ancestral,
    ddim,
    renoise,
)

__all__ = [
    "DPMSolverPP2M",
    "Euler",
    "Frame",
    "Heun",
    "KappaRule",
    "Posterior",
    "Question",
    "Renoise",
    "Sampler",
    "Scales",
    "Step",
    "Stochastic",
    "ancestral",
    "ddim",
    "renoise",
    "sample_frames",
]

"""Samplers: rules that turn noise into a sample, a step at a time, in one loop."""

from sfumato.diffusion.samplers.adams import AdamsBashforth
from sfumato.diffusion.samplers.adaptive import AdaptiveODE
from sfumato.diffusion.samplers.base import (
    Frame,
    Question,
    Sampler,
    Scales,
    Step,
    check_sampler,
    sample_frames,
)
from sfumato.diffusion.samplers.churn import Churn
from sfumato.diffusion.samplers.dpm import DPMSolverPP, SDEDPMSolverPP2M, dpm_2m, dpm_3m
from sfumato.diffusion.samplers.langevin import AnnealedLangevin, PredictorCorrector, predictor_corrector
from sfumato.diffusion.samplers.ode import Euler, Heun
from sfumato.diffusion.samplers.sde import EulerMaruyama
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
    check_variance,
    ddim,
    fixed_level,
    fixed_level_stale,
    renoise,
)
from sfumato.diffusion.samplers.unipc import UniPC, unipc, unipc_bh1

__all__ = [
    "AdamsBashforth",
    "AdaptiveODE",
    "AnnealedLangevin",
    "Churn",
    "DPMSolverPP",
    "Euler",
    "EulerMaruyama",
    "FixedLevel",
    "Frame",
    "Heun",
    "KappaRule",
    "Posterior",
    "PosteriorMean",
    "PredictorCorrector",
    "Question",
    "Renoise",
    "SDEDPMSolverPP2M",
    "Sampler",
    "Scales",
    "Step",
    "Stochastic",
    "UniPC",
    "ancestral",
    "ancestral_large",
    "ancestral_learned",
    "check_sampler",
    "check_variance",
    "ddim",
    "dpm_2m",
    "dpm_3m",
    "fixed_level",
    "fixed_level_stale",
    "predictor_corrector",
    "renoise",
    "sample_frames",
    "unipc",
    "unipc_bh1",
]

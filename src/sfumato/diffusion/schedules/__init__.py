"""Schedules: how signal gives way to noise as time goes from 0 to 1."""

from sfumato.diffusion.schedules.base import Schedule, cleanest_asked, signal_left, time_of_log_snr
from sfumato.diffusion.schedules.flow import RectifiedFlow
from sfumato.diffusion.schedules.sub_vp import SubVP
from sfumato.diffusion.schedules.variance_exploding import GeometricVE, LinearVE, NoiseSteps
from sfumato.diffusion.schedules.variance_preserving import (
    Betas,
    ConstantAlpha,
    CosineVP,
    LinearBetas,
    LinearVP,
    VariancePreserving,
    cosine_betas,
    linear_betas,
)

__all__ = [
    "Betas",
    "ConstantAlpha",
    "CosineVP",
    "GeometricVE",
    "LinearBetas",
    "LinearVE",
    "LinearVP",
    "NoiseSteps",
    "RectifiedFlow",
    "Schedule",
    "SubVP",
    "VariancePreserving",
    "cleanest_asked",
    "cosine_betas",
    "linear_betas",
    "signal_left",
    "time_of_log_snr",
]

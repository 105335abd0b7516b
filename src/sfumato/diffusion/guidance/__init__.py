"""Guidance: a denoiser that leans towards something it is told; each wraps a denoiser and is one."""

from sfumato.diffusion.guidance.auto import AutoGuided
from sfumato.diffusion.guidance.by_condition import GuidedByEach
from sfumato.diffusion.guidance.classifier import ClassifierGuided, LogProb
from sfumato.diffusion.guidance.classifier_free import OFF, ClassifierFree
from sfumato.diffusion.guidance.inpainting import Inpainted
from sfumato.diffusion.guidance.interval import ALWAYS
from sfumato.diffusion.guidance.measurement import Measured, Measurement

__all__ = [
    "ALWAYS",
    "OFF",
    "AutoGuided",
    "ClassifierFree",
    "ClassifierGuided",
    "GuidedByEach",
    "Inpainted",
    "LogProb",
    "Measured",
    "Measurement",
]

"""Small stand-ins and truths shared by the laws, most of them those of `sfumato verify`."""

import torch
from torch import Tensor

from sfumato.diffusion.denoiser import Denoiser
from sfumato.diffusion.samplers import sample_frames
from sfumato.verify.law import as_double as number
from sfumato.verify.oracle import (
    COVARIANCE,
    MEAN,
    BlockNoise,
    FixedNoise,
    KnownDenoiser,
    OracleNetwork,
    asked_times,
    rand,
    randn,
)

__all__ = [
    "COVARIANCE",
    "MEAN",
    "BlockNoise",
    "FixedNoise",
    "KnownDenoiser",
    "OracleNetwork",
    "asked_times",
    "close",
    "last_x",
    "number",
    "rand",
    "randn",
]


def close(value: Tensor | float, truth: Tensor | float, rtol: float = 1e-10, atol: float = 1e-10) -> None:
    torch.testing.assert_close(number(value), number(truth), rtol=rtol, atol=atol)


def last_x(denoiser: Denoiser, sampler, x: Tensor, times: Tensor, noise=None) -> Tensor:
    """Sample and return the end."""
    return list(sample_frames(denoiser, sampler, x, times, noise or FixedNoise(number(0.0))))[-1].x

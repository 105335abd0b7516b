"""Small stand-ins and independent truths shared by the laws."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sfumato.condition import Condition
from sfumato.diffusion.denoiser import Denoiser
from sfumato.diffusion.exact import GaussianMixture
from sfumato.diffusion.level import expand
from sfumato.diffusion.prediction import Estimate, Prediction
from sfumato.diffusion.samplers import sample_frames
from sfumato.diffusion.schedules import Schedule
from sfumato.diffusion.view import level_input
from sfumato.randomness import generator


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=generator(seed, "laws"), dtype=torch.float64)


def rand(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=generator(seed, "laws"), dtype=torch.float64)


def number(value: float | Tensor) -> Tensor:
    return torch.as_tensor(value, dtype=torch.float64)


def asked_times(schedule: Schedule, n: int = 41) -> Tensor:
    """Times at which a network may be asked, both ends among them."""
    return torch.linspace(max(schedule.t_min, 1e-3), 1, n, dtype=torch.float64)


def close(value: Tensor | float, truth: Tensor | float, rtol: float = 1e-10, atol: float = 1e-10) -> None:
    torch.testing.assert_close(number(value), number(truth), rtol=rtol, atol=atol)


@dataclass
class FixedNoise:
    """A source of noise that is known, so that a stochastic step is compared number by number."""

    z: Tensor

    def normal(self, shape: Sequence[int]) -> Tensor:
        return self.z.expand(*shape)


class BlockNoise:
    """One generator for a whole block: 20,000 generators would take the time of the test."""

    def __init__(self, seed: int) -> None:
        self.generator = generator(seed, "block")

    def normal(self, shape: Sequence[int]) -> Tensor:
        return torch.randn(*shape, generator=self.generator, dtype=torch.float64)


@dataclass
class KnownDenoiser:
    """A denoiser that always believes in one x0."""

    schedule: Schedule
    x0: Tensor

    def estimate(self, x_t: Tensor, t: Tensor, condition: Condition | None = None) -> Estimate:
        level = self.schedule.level(t)
        x0 = self.x0.expand_as(x_t)
        return Estimate(x0, (x_t - expand(level.alpha, x_t) * x0) / expand(level.sigma, x_t))

    def evaluations(self, t: float, condition: Condition | None = None) -> int:
        return 1


@dataclass
class OracleNetwork:
    """A network whose output is the exact one at a few known times, under any prediction.

    It sees what a network sees, the scaled input and the level, and finds the time by the level.
    """

    mixture: GaussianMixture
    schedule: Schedule
    prediction: Prediction
    times: Tensor

    def __call__(self, x: Tensor, level: Tensor, condition: Condition | None) -> Tensor:
        known = level_input(self.schedule.level(self.times))
        nearest = self.times[(known - level[0]).abs().argmin()]
        at = self.schedule.level(nearest)
        x_t = x * (at.alpha**2 + at.sigma**2).sqrt()
        x0 = self.mixture.posterior_mean(x_t, at)
        return self.prediction.row(at).of(x0, (x_t - at.alpha * x0) / at.sigma)


def last_x(denoiser: Denoiser, sampler, x: Tensor, times: Tensor, noise=None) -> Tensor:
    """Sample and return the end."""
    return list(sample_frames(denoiser, sampler, x, times, noise or FixedNoise(number(0.0))))[-1].x


MEAN = torch.tensor([0.5, -1.0, 0.3], dtype=torch.float64)
COVARIANCE = torch.tensor([[1.0, 0.4, -0.2], [0.4, 0.6, 0.1], [-0.2, 0.1, 0.3]], dtype=torch.float64)
"""The Gaussian data of the laws: no axis is special, no two variances are equal."""

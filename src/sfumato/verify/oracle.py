"""Data whose truth is known, and stand-ins for a network that are exactly right.

A Gaussian and a mixture of three stand for the data. `OracleNetwork` is the perfect network of any
prediction: with it, what is predicted may not change a sample.
"""

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, cast

import torch
from torch import Tensor

from sfumato.condition import Condition
from sfumato.diffusion.exact import GaussianMixture, gaussian
from sfumato.diffusion.level import expand
from sfumato.diffusion.prediction import Estimate, Prediction
from sfumato.diffusion.schedules import Schedule
from sfumato.diffusion.view import LARGEST_LOG_RATIO, level_input
from sfumato.randomness import generator

MEAN = torch.tensor([0.5, -1.0, 0.3], dtype=torch.float64)
COVARIANCE = torch.tensor([[1.0, 0.4, -0.2], [0.4, 0.6, 0.1], [-0.2, 0.1, 0.3]], dtype=torch.float64)
"""The Gaussian data of the laws: no axis is special, no two variances are equal."""
GAUSSIAN = gaussian(MEAN, COVARIANCE)

MIXTURE = GaussianMixture.of(
    torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64),
    torch.tensor([[1.0, 0.5], [-1.2, 0.8], [0.2, -1.3]], dtype=torch.float64),
    torch.tensor(
        [[[0.3, 0.1], [0.1, 0.2]], [[0.2, -0.1], [-0.1, 0.3]], [[0.4, 0.0], [0.0, 0.15]]], dtype=torch.float64
    ),
)
"""The mixture of the laws: three components in the plane that overlap, of unequal weights and shapes."""


def randn(*shape: int, seed: int = 0) -> Tensor:
    """Draw standard normal float64 numbers that depend on the seed alone."""
    return torch.randn(*shape, generator=generator(seed, "laws"), dtype=torch.float64)


def rand(*shape: int, seed: int = 0) -> Tensor:
    """Draw uniform float64 numbers that depend on the seed alone."""
    return torch.rand(*shape, generator=generator(seed, "laws"), dtype=torch.float64)


def asked_times(schedule: Schedule, n: int = 41) -> Tensor:
    """Return `n` times at which a network may be asked, both ends among them."""
    return torch.linspace(max(schedule.t_min, 1e-3), 1, n, dtype=torch.float64)


@dataclass
class FixedNoise:
    """A source of noise that is known, so that a stochastic step is compared number by number."""

    z: Tensor

    def normal(self, shape: Sequence[int]) -> Tensor:
        """Return z."""
        return self.z.expand(*shape)


class BlockNoise:
    """One generator for a whole block: one for each of 20,000 samples would take the time of the law."""

    def __init__(self, seed: int) -> None:
        self.generator = generator(seed, "block")

    def normal(self, shape: Sequence[int]) -> Tensor:
        """Draw float64 noise."""
        return torch.randn(*shape, generator=self.generator, dtype=torch.float64)


@dataclass
class KnownDenoiser:
    """A denoiser that always believes in one x0: (1, ...)."""

    schedule: Schedule
    x0: Tensor

    def estimate(self, x_t: Tensor, t: Tensor, condition: Condition | None = None) -> Estimate:
        """Return x0 and the noise that explains x_t."""
        level = self.schedule.level(t)
        x0 = self.x0.expand_as(x_t)
        return Estimate(x0, (x_t - expand(level.alpha, x_t) * x0) / expand(level.sigma, x_t))

    def evaluations(self, t: float, condition: Condition | None = None) -> int:
        """Return 1."""
        return 1


@lru_cache(maxsize=4096)
def _time_of(schedule: Any, shown: float) -> Tensor:
    """Find the time whose level is shown as `shown`, by six narrowing looks at 1,001 times."""
    low, high = 0.0, 1.0
    for _ in range(6):
        times = torch.linspace(low, high, 1001, dtype=torch.float64)
        place = int((level_input(schedule.level(times)) < shown).sum().clamp(1, 1000))
        low, high = float(times[place - 1]), float(times[place])
    return torch.tensor(high, dtype=torch.float64)


@dataclass
class OracleNetwork:
    """A network whose output is the exact one, under any prediction.

    It sees what a network sees, the scaled input and the level, and finds the time by the level: one of
    `times` where it is among them, else by a search.
    """

    mixture: GaussianMixture
    schedule: Schedule
    prediction: Prediction
    times: Tensor

    @cached_property
    def _known(self) -> Tensor:
        # One by one, as a walk asks: a vector's levels may differ from a number's in the last bit.
        return torch.stack([level_input(self.schedule.level(t)) for t in self.times])

    def time(self, level: Tensor) -> Tensor:
        """Return the time whose level a network is shown as `level`: ()."""
        same = self._known == level
        if bool(same.any()):
            return self.times[int(same.double().argmax())]
        if float(level) >= LARGEST_LOG_RATIO / 4:
            return torch.ones((), dtype=torch.float64)
        return _time_of(cast(Hashable, self.schedule), float(level))

    def __call__(self, x: Tensor, level: Tensor, condition: Condition | None) -> Tensor:
        """Return a·E[x0 | x_t] + b·E[eps | x_t] for x = x_t/sqrt(alpha² + sigma²): (B, D)."""
        at = self.schedule.level(self.time(level[0]))
        x_t = x * math.hypot(float(at.alpha), float(at.sigma))
        x0 = self.mixture.posterior_mean(x_t, at)
        return self.prediction.row(at).of(x0, (x_t - at.alpha * x0) / at.sigma)

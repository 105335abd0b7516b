"""Walks of a sampler, and what their ends should be.

In the angle theta with tan theta = sigma/alpha and the state u = x_t/sqrt(alpha² + sigma²), the
probability-flow ODE is the same for every schedule and regular at both ends (Salimans & Ho 2022, appendix D):

    du/d theta = cos theta·eps − sin theta·x0 ,   where cos theta·x0 + sin theta·eps = u.

A fine Runge–Kutta solution of it is the truth that every deterministic sampler is compared with. A stochastic
sampler on Gaussian data is affine in its start and in every noise it draws; so one walk of a batch, in which
each row is given another unit vector of (start, first noise, second noise, ...), yields its law exactly.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import torch
from torch import Tensor

from sfumato.condition import Condition
from sfumato.diffusion.denoiser import Denoiser
from sfumato.diffusion.exact import ExactDenoiser, GaussianMixture, gaussian
from sfumato.diffusion.level import Level
from sfumato.diffusion.prediction import Estimate
from sfumato.diffusion.samplers import Frame, Sampler, sample_frames
from sfumato.diffusion.schedules import Schedule
from sfumato.randomness import Noise
from sfumato.verify.law import as_double
from sfumato.verify.oracle import BlockNoise


def walk(denoiser: Denoiser, sampler: Sampler, x: Tensor, times: Tensor, noise: Noise | None = None) -> Frame:
    """Return the last frame."""
    *_, last = sample_frames(denoiser, sampler, x, times, noise or BlockNoise(0))
    return last


def plane(theta: Tensor) -> Level:
    """Return the level on the unit circle at an angle: ()."""
    return Level(theta, theta.cos(), theta.sin(), -theta.sin(), theta.cos())


def angle(level: Level) -> Tensor:
    """Return theta in [0, π/2]."""
    return torch.atan2(level.sigma, level.alpha)


def rotation(mixture: GaussianMixture, u: Tensor, theta: Tensor) -> Tensor:
    """Return du/d theta: (B, D)."""
    at = plane(theta)
    x0 = mixture.posterior_mean(u, at)
    return at.alpha * (u - at.alpha * x0) / at.sigma - at.sigma * x0


def flow(mixture: GaussianMixture, x: Tensor, start: Level, end: Level, steps: int = 400) -> Tensor:
    """Carry `x`: (B, D) along the exact ODE from one level to a cleaner one, sigma > 0, to about 1e-8."""
    noisiest = angle(start).clamp(max=math.atan(1e4))
    middle = torch.linspace(float(noisiest.tan().log()), float(angle(end).tan().log()), steps + 1).double()
    thetas = middle.exp().atan()
    thetas[0], thetas[-1] = angle(start), angle(end)
    u = x / torch.hypot(start.alpha, start.sigma)
    for a, b in pairwise(thetas):
        h = b - a
        k1 = rotation(mixture, u, a)
        k2 = rotation(mixture, u + h / 2 * k1, a + h / 2)
        k3 = rotation(mixture, u + h / 2 * k2, a + h / 2)
        k4 = rotation(mixture, u + h * k3, b)
        u = u + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return u * torch.hypot(end.alpha, end.sigma)


def ends_clean(schedule: Schedule) -> bool:
    """Say whether no noise is left at t = 0; then the last step of a walk is the estimate."""
    return float(schedule.level(0.0).sigma) == 0


@dataclass
class Watched:
    """A denoiser that remembers the cleanest time it was asked about."""

    denoiser: Denoiser
    cleanest: float = 1.0

    @property
    def schedule(self) -> Schedule:
        """The denoiser's own."""
        return self.denoiser.schedule

    def estimate(self, x_t: Tensor, t: Tensor, condition: Condition | None = None) -> Estimate:
        """Ask the denoiser."""
        self.cleanest = min(self.cleanest, float(t))
        return self.denoiser.estimate(x_t, t, condition)

    def evaluations(self, t: float, condition: Condition | None = None) -> int:
        """Return the denoiser's count."""
        return self.denoiser.evaluations(t, condition)


@dataclass
class UnitNoise:
    """Noise of which the j-th draw is 1 in row j + 2 and 0 elsewhere; it counts its draws."""

    draws: int = field(default=0, init=False)

    def normal(self, shape: Sequence[int]) -> Tensor:
        """Return the next unit vector, or zeros where the batch has no row for it."""
        z = torch.zeros(*shape, dtype=torch.float64)
        z[self.draws + 2 : self.draws + 3] = 1.0
        self.draws += 1
        return z


def law_of_walk(
    sampler: Sampler,
    schedule: Schedule,
    times: Tensor,
    data: tuple[float, float],
    start: tuple[float, float],
) -> tuple[float, float, int]:
    """Return the mean and variance of a walk's end on one-dimensional Gaussian data, and its evaluations.

    data, start: the mean and the variance of the data and of the first state.
    """
    denoiser = ExactDenoiser(gaussian(as_double([data[0]]), as_double([[data[1]]])), schedule)
    counted = UnitNoise()
    walk(denoiser, sampler, torch.zeros(2, 1, dtype=torch.float64), times, counted)
    x = torch.zeros(2 + counted.draws, 1, dtype=torch.float64)
    x[1] = 1.0
    end = walk(denoiser, sampler, x, times, UnitNoise())
    offset, *rest = end.x.flatten().tolist()
    factor, *noises = (value - offset for value in rest)
    variance = factor**2 * start[1] + math.fsum(n * n for n in noises)
    return offset + factor * start[0], variance, end.evaluations


def steps_within(sampler: Sampler, schedule: Schedule, evaluations: int) -> int:
    """Return how many steps cost at most so many evaluations: at least 1, even if one step costs more."""
    denoiser = ExactDenoiser(gaussian(torch.zeros(1), torch.eye(1)), schedule)
    x = torch.ones(2, 1, dtype=torch.float64)
    one, two = (
        walk(denoiser, sampler, x, torch.linspace(0.5, 0, k + 1, dtype=torch.float64)).evaluations
        for k in (1, 2)
    )
    return max(1, 1 + (evaluations - one) // max(two - one, 1))

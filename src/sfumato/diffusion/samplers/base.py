"""The one sampling loop, and what a step may know.

A sampler is a rule for one step from t to s < t. It sees estimates, never the network, the condition or the
trainer; whatever it remembers from step to step it hands back. The loop is a generator of frames, so a
picture, a film strip, a progress bar and a plain result are the same code path.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from sfumato.condition import Condition
from sfumato.diffusion.denoiser import Denoiser
from sfumato.diffusion.grids import check_grid
from sfumato.diffusion.later import deferring, later
from sfumato.diffusion.level import Level
from sfumato.diffusion.prediction import Estimate
from sfumato.diffusion.remembering import level_at, remembered, shared_time
from sfumato.diffusion.schedules import Schedule
from sfumato.randomness import Noise


@dataclass(frozen=True)
class Scales:
    """A level as plain numbers, for one time shared by the whole batch; `level`: the same as tensors, ()."""

    t: float
    alpha: float
    sigma: float
    d_alpha: float
    d_sigma: float
    level: Level


class Question:
    """A denoiser asked about one batch under one condition; counts how often a network runs."""

    def __init__(self, denoiser: Denoiser, condition: Condition | None = None) -> None:
        self._denoiser = denoiser
        self._condition = condition
        self.evaluations = 0

    @property
    def schedule(self) -> Schedule:
        """The schedule whose levels are asked about."""
        return self._denoiser.schedule

    def at(self, t: float) -> Scales:
        """Return the level at `t`."""
        return _scales(t, level_at(self._denoiser.schedule, t))

    def __call__(self, x_t: Tensor, t: Scales) -> Estimate:
        """Estimate (x0, eps) of `x_t`: (B, ...)."""
        self.evaluations += self._denoiser.evaluations(t.t, self._condition)
        return self._denoiser.estimate(x_t, shared_time(t.t), self._condition)


@remembered
def _scales(t: float, level: Level) -> Scales:
    numbers = [float(v) for v in (level.alpha, level.sigma, level.d_alpha, level.d_sigma)]
    return Scales(t, numbers[0], numbers[1], numbers[2], numbers[3], level)


@deferring("x0")
@dataclass(frozen=True)
class Step:
    """What a step returns: x_s, the estimate of x0 it went by, and what it wants to remember.

    x0 may be given as `later(...)`: few who walk look at it.
    """

    x: Tensor
    x0: Tensor
    memory: Any = None


class Sampler(Protocol):
    """A rule for one step from t to s < t."""

    def step(self, ask: Question, x_t: Tensor, t: Scales, s: Scales, noise: Noise, memory: Any) -> Step:
        """Return x_s; `memory` is None at the first step and the last step's own afterwards."""
        ...


@runtime_checkable
class Particular(Protocol):
    """A sampler that does not go with every schedule."""

    def check(self, schedule: Schedule) -> None:
        """Raise ConfigError where the sampler means nothing on `schedule`."""
        ...


def check_sampler(sampler: Sampler, schedule: Schedule) -> None:
    """Refuse a sampler on a schedule it is not made for; most go with all."""
    if isinstance(sampler, Particular):
        sampler.check(schedule)


@deferring("x0")
@dataclass(frozen=True)
class Frame:
    """A moment of sampling: `index` of `steps` steps done, now at time `t`.

    x: (B, ...), the noisy sample; x0: (B, ...), what it is believed to become; evaluations: network runs.
    """

    index: int
    steps: int
    t: float
    x: Tensor
    x0: Tensor
    evaluations: int


def sample_frames(
    denoiser: Denoiser,
    sampler: Sampler,
    x: Tensor,
    times: Tensor,
    noise: Noise,
    condition: Condition | None = None,
) -> Iterator[Frame]:
    """Walk `x` along `times`, yielding the start and the state after every step.

    x: (B, ...), pure noise of the schedule's prior; times: (K + 1,), falling strictly; noise: one row an
    example. The last frame's `x` is the sample. Raises ConfigError for a sampler or times that cannot be.
    """
    check_sampler(sampler, denoiser.schedule)
    ask = Question(denoiser, condition)
    scales = [ask.at(float(t)) for t in check_grid(times)]
    steps, memory = len(scales) - 1, None
    yield Frame(0, steps, scales[0].t, x, later(partial(torch.zeros_like, x)), 0)
    for index, (t, s) in enumerate(pairwise(scales), start=1):
        step = sampler.step(ask, x, t, s, noise, memory)
        x, memory = step.x, step.memory
        yield Frame(index, steps, s.t, x, later(partial(getattr, step, "x0")), ask.evaluations)

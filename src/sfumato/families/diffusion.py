"""The diffusion family: a denoiser, how it is trained, and how it is sampled.

Training draws a time and a noise for every example and asks for the weighted squared error of the estimate
(`diffusion.objective`); sampling walks a grid of times from pure noise down (`diffusion.samplers`). A share
of the conditions is hidden in training (`families.conditioning`), which is what guidance needs.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

import torch
from torch import Tensor, nn

from sfumato.condition import Condition
from sfumato.diffusion.denoiser import Denoiser, NetworkDenoiser
from sfumato.diffusion.grids import Grid, times_of
from sfumato.diffusion.guidance import OFF, ClassifierFree, GuidedByEach
from sfumato.diffusion.later import later
from sfumato.diffusion.objective import Objective
from sfumato.diffusion.samplers import Frame, Sampler, sample_frames
from sfumato.diffusion.schedules import Schedule
from sfumato.diffusion.thresholding import Threshold, Thresholded
from sfumato.diffusion.times import TimeDensity
from sfumato.families.agreements import Batch, Draws, Moment, Player
from sfumato.families.conditioning import Conditioning
from sfumato.randomness import Noise

PLAYER = "denoiser"

Guide = Callable[[Denoiser], Denoiser]
"""What wraps a denoiser in guidance, see `diffusion.guidance`."""


@dataclass(frozen=True)
class SamplingOptions:
    """How to walk from noise to a picture.

    threshold: keeps estimates of bounded data within its bounds; guidance: 0 ignores the condition, 1 is the
    conditional model, above 1 goes beyond it, or such a weight for each condition's name; interval: the times
    (from, to) within which guidance acts; guides: what leans on the denoiser besides, the first one nearest
    to it; known: what is said of the picture itself, such as a part of it, which no threshold may change.
    """

    sampler: Sampler
    grid: Grid
    steps: int
    threshold: Threshold | None = None
    guidance: float | Mapping[str, float] = OFF
    interval: tuple[float, float] = (0.0, 1.0)
    guides: tuple[Guide, ...] = ()
    known: tuple[Guide, ...] = ()


@dataclass(frozen=True)
class Diffusion:
    """A diffusion model.

    module: what is trained; denoiser: the estimate it gives, through the module itself or a compiled or
    averaged form of it; conditioning: what training does to conditions; bounds: the smallest and largest
    value of bounded data, None for unbounded.
    """

    module: nn.Module
    denoiser: NetworkDenoiser
    objective: Objective
    times: TimeDensity
    conditioning: Conditioning = field(default_factory=Conditioning)
    bounds: tuple[float, float] | None = None

    def players(self) -> tuple[Player, ...]:
        """Return the one player, the denoiser."""
        return (Player(PLAYER, self.module, self.loss),)

    def draw(self, rows: int, shape: tuple[int, ...], generator: torch.Generator) -> Draws:
        """Draw times, noises, and whose condition is hidden."""
        return {
            "t": self.times.draw(rows, self.denoiser.schedule, generator),
            "eps": torch.randn(rows, *shape, generator=generator),
            **self.conditioning.draw(rows, generator),
        }

    def loss(self, batch: Batch, draws: Draws) -> Tensor:
        """Return the denoising loss of each example: (B,)."""
        condition = self.conditioning(batch.condition, draws)
        return self.objective(self.denoiser, batch.examples, draws["eps"], draws["t"], condition)

    def with_modules(self, modules: Mapping[str, Callable[..., Tensor]]) -> "Diffusion":
        """Return the same model with another form of its network behind the estimate, if one is named."""
        network = modules.get(PLAYER, self.denoiser.network)
        return replace(self, denoiser=replace(self.denoiser, network=network))

    def guided(self, options: SamplingOptions) -> Denoiser:
        """Return the denoiser that sampling asks: guided, kept within the data's bounds, told what is known.

        Raises ConfigError for an interval that is none, for a threshold of unbounded data, and where a guide
        does not fit.
        """
        denoiser = _guided_by(self.denoiser, options.guidance, options.interval)
        for guide in options.guides:
            denoiser = guide(denoiser)
        if options.threshold is not None:
            denoiser = Thresholded(denoiser, options.threshold, self.bounds)
        for guide in options.known:
            denoiser = guide(denoiser)
        return denoiser

    def frames(
        self, shape: tuple[int, ...], noise: Noise, condition: Condition | None, options: SamplingOptions
    ) -> Iterator[Moment]:
        """Yield the moments of sampling a batch of `shape`: (B, ...), from pure noise to data."""
        schedule = self.denoiser.schedule
        device = next(self.module.parameters()).device
        times = times_of(options.grid, options.steps, schedule)
        x = noise.normal(shape).to(device) * schedule.prior_std
        walk = sample_frames(self.guided(options), options.sampler, x, times, noise, condition)
        for frame in walk:
            state = later(partial(_shown, frame, schedule, bool(options.known)))
            guess = later(partial(getattr, frame, "x0"))
            yield Moment(frame.index, frame.steps, state, guess, frame.evaluations)


def _guided_by(
    denoiser: Denoiser, guidance: float | Mapping[str, float], interval: tuple[float, float]
) -> Denoiser:
    """Return a denoiser guided by its conditions together, or by each with its own weight."""
    if isinstance(guidance, Mapping):
        return GuidedByEach(denoiser, guidance, interval)
    return ClassifierFree(denoiser, guidance, interval)


def _shown(frame: Frame, schedule: Schedule, known: bool) -> Tensor:
    """Return where a walk stands in the size of the data, or at its end the sample: (B, ...)."""
    level = schedule.level(frame.t)
    if frame.index == frame.steps and (level.sigma > 0 or known):
        # A geometric schedule ends with a little noise; what it lies on is the sample. And a solver errs by
        # a little even where the picture is known.
        return frame.x0
    # On its way an exploding sample outgrows the data a hundredfold; shown, it has the data's size.
    return frame.x / max(1.0, float(torch.hypot(level.alpha, level.sigma)))

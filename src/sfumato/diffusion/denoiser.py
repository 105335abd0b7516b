"""A denoiser turns a noisy sample into an estimate of the clean one and of the noise.

    network × schedule × prediction  ->  (x̂0, ε̂)

What the network is shown is a view's affair, what its output means a prediction's, and whether it also puts
out a variance a variance's. Guidance, thresholding and the exact denoiser of a mixture have the same one
method, so each can stand where another does.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from sfumato.condition import Condition, joined
from sfumato.diffusion.prediction import Estimate, Prediction, check, row_at, solve
from sfumato.diffusion.remembering import level_at
from sfumato.diffusion.schedules import Schedule
from sfumato.diffusion.variance import FixedSmall, Variance
from sfumato.diffusion.view import View, WithLevel

Network = Callable[[Tensor, Tensor, Condition | None], Tensor]
"""A network of (what it is shown: (B, ...), level: (B,), condition); see `View` and `Variance`.

It returns a new tensor each time: an estimate is computed from it later, when it is read.
"""


class Denoiser(Protocol):
    """Anything that can estimate (x0, eps) from a noisy sample."""

    @property
    def schedule(self) -> Schedule:
        """The schedule whose times it understands."""
        ...

    def estimate(self, x_t: Tensor, t: Tensor, condition: Condition | None = None) -> Estimate:
        """Estimate (x0, eps) of `x_t`: (B, ...) at `t`: () or (B,) in (0, 1]."""
        ...

    def evaluations(self, t: float, condition: Condition | None = None) -> int:
        """Return how often networks run for one estimate at `t` under `condition`, forward or backward."""
        ...


@runtime_checkable
class AsksAtOnce(Protocol):
    """A denoiser that answers several questions about one sample by one run of its network."""

    def estimates(self, x_t: Tensor, t: Tensor, conditions: Sequence[Condition]) -> list[Estimate]:
        """Return the estimates of `x_t`: (B, ...) under each condition."""
        ...


def ask_each(denoiser: Denoiser, x_t: Tensor, t: Tensor, conditions: Sequence[Condition]) -> list[Estimate]:
    """Return the estimates of `x_t`: (B, ...) under each condition, by one batch where that can be."""
    if len(conditions) > 1 and isinstance(denoiser, AsksAtOnce):
        return denoiser.estimates(x_t, t, conditions)
    return [denoiser.estimate(x_t, t, condition) for condition in conditions]


@dataclass(frozen=True)
class NetworkDenoiser:
    """A network and the meaning of its output.

    view: what the network is shown; variance: whether it also puts out a variance.
    Raises ConfigError where the prediction does not determine (x0, eps) on this schedule.
    """

    network: Network
    schedule: Schedule
    prediction: Prediction
    view: View = field(default_factory=WithLevel)
    variance: Variance = field(default_factory=FixedSmall)

    def __post_init__(self) -> None:
        check(self.prediction, self.schedule)

    def output(self, x_t: Tensor, t: Tensor, condition: Condition | None = None) -> Tensor:
        """Return the network's output at `x_t`: (B, ...), `t`: () or (B,), in the precision of x_t."""
        shown, level = self.view.show(x_t, level_at(self.schedule, t))
        return self.network(shown, level, condition).to(x_t.dtype)

    def interpret(self, output: Tensor, x_t: Tensor, t: Tensor) -> Estimate:
        """Return what an output at `x_t` says: the solution of its row, and the variance's fraction."""
        level = level_at(self.schedule, t)
        prediction, fraction = self.variance.split(output)
        return solve(row_at(self.prediction, level), level, x_t, prediction).beside(fraction)

    def estimate(self, x_t: Tensor, t: Tensor, condition: Condition | None = None) -> Estimate:
        """Run the network once and solve its row."""
        return self.interpret(self.output(x_t, t, condition), x_t, t)

    def estimates(self, x_t: Tensor, t: Tensor, conditions: Sequence[Condition]) -> list[Estimate]:
        """Run the network once on a batch that holds the sample as often as there are conditions."""
        copies = len(conditions)
        times = t if t.ndim == 0 else t.repeat(copies)
        outputs = self.output(torch.cat([x_t] * copies), times, joined(conditions)).chunk(copies)
        return [self.interpret(output, x_t, t) for output in outputs]

    def evaluations(self, t: float, condition: Condition | None = None) -> int:
        """Return 1."""
        return 1

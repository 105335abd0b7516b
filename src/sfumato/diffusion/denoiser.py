"""A denoiser turns a noisy sample into an estimate of the clean one and of the noise.

    network × schedule × prediction  ->  (x̂0, ε̂)

What the network is shown is a view's affair, what its output means a prediction's, and whether it also puts
out a variance a variance's. Guidance, thresholding and the exact denoiser of a mixture have the same one
method, so each can stand where another does.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from torch import Tensor

from sfumato.condition import Condition
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

    def evaluations(self, t: float, condition: Condition | None = None) -> int:
        """Return 1."""
        return 1

"""A prediction is one row: whatever a network puts out is a·x0 + b·eps.

With x_t = alpha·x0 + sigma·eps and the output o = a·x0 + b·eps, two equations give both unknowns:

    determinant = alpha·b − sigma·a
    x0  = (b·x_t − sigma·o)/determinant
    eps = (alpha·o − a·x_t)/determinant

and with them any other row of (x0, eps), as one sum of x_t and o. No converter per pair of names, no loss per
prediction. An error e of the output is an error −sigma/determinant·e of x0 and alpha/determinant·e of eps, so
a row whose determinant vanishes somewhere on its schedule (noise prediction where alpha = 0) says nothing
about the picture there: `check` refuses it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from sfumato.diffusion.combination import Factor, combine, number
from sfumato.diffusion.later import AsNow, deferring, later
from sfumato.diffusion.level import Level
from sfumato.diffusion.remembering import remembered
from sfumato.diffusion.schedules import Schedule
from sfumato.errors import ConfigError

LARGEST_AMPLIFICATION = 1e4
"""Beyond it, float32's rounding of the output alone is visible in the picture."""


@dataclass(frozen=True, eq=False)
class Row:
    """The row (a, b) at some levels; a, b: () or (B,) of float64."""

    a: Tensor
    b: Tensor

    def of(self, x0: Tensor, eps: Tensor) -> Tensor:
        """Return a·x0 + b·eps; x0, eps: (B, ...)."""
        return combine((self.a, x0), (self.b, eps))

    def determinant(self, level: Level) -> Tensor:
        """Return alpha·b − sigma·a."""
        return level.alpha * self.b - level.sigma * self.a


class Prediction(Protocol):
    """What a network is trained to put out."""

    def row(self, level: Level) -> Row:
        """Return the row at `level`."""
        ...


Mix = Callable[[Factor, float], Tensor]
"""Given (a, b), returns a·x0 + b·eps as a new tensor: (B, ...)."""


@deferring("x0", "eps")
@dataclass(frozen=True)
class Estimate:
    """What a denoiser believes of x_t: the clean sample and the noise, both (B, ...).

    Both are computed when they are first read, unless they are given.
    variance_fraction: (B, ...), the v of a network that has learned a variance (`diffusion.variance`).
    """

    x0: Tensor
    eps: Tensor
    variance_fraction: Tensor | None = None

    @classmethod
    def of(cls, mix: Mix, variance_fraction: Tensor | None = None) -> "Estimate":
        """Return the estimate of which `mix` knows every row."""
        estimate = cls(later(lambda: mix(1.0, 0.0)), later(lambda: mix(0.0, 1.0)), variance_fraction)
        return estimate.mixed_by(mix)

    def mixed_by(self, mix: Mix) -> "Estimate":
        """Let `mix`, which gives the same by fewer passes over the batch, stand for the method; return self.

        An estimate that is made from this one by `dataclasses.replace` has the method itself again.
        """
        object.__setattr__(self, "mix", AsNow(mix))
        return self

    def mix(self, a: Factor, b: float) -> Tensor:
        """Return a·x0 + b·eps as a new tensor: (B, ...); eps is not computed where b = 0."""
        return combine((a, self.x0), (b, self.eps)) if b else combine((a, self.x0))

    def beside(self, variance_fraction: Tensor | None) -> "Estimate":
        """Return the same estimate with the v of a learned variance, if there is one."""
        return self if variance_fraction is None else Estimate.of(self.mix, variance_fraction)


@remembered
def inverse(row: Row, level: Level) -> tuple[Factor, Factor, Factor, Factor]:
    """Return (p, q, r, s) with x0 = p·x_t + q·output and eps = r·x_t + s·output."""
    of_x0, of_eps = (row.b, -level.sigma), (-row.a, level.alpha)
    determinant = row.determinant(level)
    p, q, r, s = (number(value / determinant) for value in (*of_x0, *of_eps))
    return p, q, r, s


def solve(row: Row, level: Level, x_t: Tensor, output: Tensor) -> Estimate:
    """Turn an output into the pair (x0, eps); x_t, output: (B, ...)."""
    p, q, r, s = inverse(row, level)
    return Estimate.of(lambda a, b: combine((a * p + b * r, x_t), (a * q + b * s, output)))


@remembered
def row_at(prediction: Prediction, level: Level) -> Row:
    """Return `prediction.row(level)`, the very same object each time for one level of one time."""
    return prediction.row(level)


def amplification(row: Row, level: Level) -> Tensor:
    """Return how much larger a relative error of the output may be in x0 or eps: the solve's conditioning."""
    size = torch.maximum(row.a.abs(), row.b.abs()) * torch.maximum(level.alpha, level.sigma)
    return size / row.determinant(level).abs()


def check(prediction: Prediction, schedule: Schedule) -> None:
    """Refuse a prediction that cannot be turned into (x0, eps) at an end of the schedule.

    Raises ConfigError that names the pair and what would do instead.
    """
    for t in (schedule.t_min, 1.0):
        level = schedule.level(t)
        if not float(amplification(prediction.row(level), level)) < LARGEST_AMPLIFICATION:
            raise ConfigError(
                f"{type(prediction).__name__} prediction cannot be used with {type(schedule).__name__}: at "
                f"t = {t:g} (alpha = {float(level.alpha):.3g}, sigma = {float(level.sigma):.3g}) its output "
                "does not determine both the picture and the noise. Choose the prediction 'v', 'velocity' or "
                "'edm', or a schedule that stops short of this level."
            )


def _constant(value: float, level: Level) -> Tensor:
    return torch.full_like(level.alpha, value)


@dataclass(frozen=True)
class Noise:
    """The network predicts eps (Ho et al. 2020, equation 14)."""

    def row(self, level: Level) -> Row:
        """Return (0, 1)."""
        return Row(_constant(0, level), _constant(1, level))


@dataclass(frozen=True)
class Data:
    """The network predicts x0."""

    def row(self, level: Level) -> Row:
        """Return (1, 0)."""
        return Row(_constant(1, level), _constant(0, level))


@dataclass(frozen=True)
class Score:
    """The network predicts the score of q(x_t | x0), −eps/sigma (Song & Ermon 2019)."""

    def row(self, level: Level) -> Row:
        """Return (0, −1/sigma)."""
        return Row(_constant(0, level), -1 / level.sigma)


@dataclass(frozen=True)
class V:
    """The network predicts v = alpha·eps − sigma·x0 (Salimans & Ho 2022, appendix D)."""

    def row(self, level: Level) -> Row:
        """Return (−sigma, alpha)."""
        return Row(-level.sigma, level.alpha)


@dataclass(frozen=True)
class Velocity:
    """The network predicts dx_t/dt = alpha′·x0 + sigma′·eps (Lipman et al. 2023)."""

    def row(self, level: Level) -> Row:
        """Return (alpha′, sigma′)."""
        return Row(level.d_alpha, level.d_sigma)


@dataclass(frozen=True)
class EDM:
    """The network predicts a mixture of data and noise with unit variance at every level.

    x0 = c_skip·x_t + c_out·output (Karras et al. 2022, equation 7 and table 1, for any alpha):

        c_skip = alpha·sigma_data²/(alpha²·sigma_data² + sigma²)
        c_out  = sigma·sigma_data/sqrt(alpha²·sigma_data² + sigma²)

    sigma_data: the standard deviation of the data as the model sees it.
    """

    sigma_data: float = 0.5

    def __post_init__(self) -> None:
        if not self.sigma_data > 0:
            raise ConfigError(f"sigma_data must be above 0, not {self.sigma_data}")

    def row(self, level: Level) -> Row:
        """Return ((1 − c_skip·alpha)/c_out, −c_skip·sigma/c_out), written without cancellation."""
        total = ((level.alpha * self.sigma_data).square() + level.sigma.square()).sqrt()
        return Row(level.sigma / (self.sigma_data * total), -level.alpha * self.sigma_data / total)


@dataclass(frozen=True)
class Previous:
    """The network predicts the previous state: E[x_s | x_t] one of `steps` equal steps of time before t.

    Regressing on x_s itself has its mean given x_t and x0 as the part that can be learned, so the target
    is that mean, and only the spread of what cannot be learned is left out of the loss:

        E[x_s | x_t, x0] = alpha_s·x0 + (alpha_t·sigma_s²)/(alpha_s·sigma_t)·eps

    schedule: where s lies is its affair; steps: T.
    """

    schedule: Schedule
    steps: int = 100

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ConfigError(f"previous-state prediction needs at least 1 step, not {self.steps}")

    def row(self, level: Level) -> Row:
        """Return (alpha_s, alpha_t·sigma_s²/(alpha_s·sigma_t)) for s = t − 1/steps, or the clean end."""
        before = self.schedule.level((level.t - 1 / self.steps).clamp(min=0))
        return Row(before.alpha, level.alpha * before.sigma.square() / (before.alpha * level.sigma))

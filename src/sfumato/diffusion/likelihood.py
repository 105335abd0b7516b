"""The exact log-likelihood of a diffusion model, by its probability-flow ODE.

The flow carries the data's distribution into pure noise. Seen at unit size and by its angle it is the same
on every schedule, however fast or unevenly that goes, and has no infinite slope at either end (Salimans & Ho
2022, appendix D):

    y = x_t/r,  r = sqrt(alpha² + sigma²),  theta = atan(sigma/alpha)
    dy/dtheta = cos(theta)·ε̂ − sin(theta)·x̂0 = v(y, theta)

Along a path the density changes as the flow spreads (Chen et al. 2018, equation 8; Song et al. 2021, equation
39): d log p(y)/dtheta = −tr ∂v/∂y, so

    log p(y_start) = log p(y_1) + ∫ from theta_start to theta_1 of tr ∂v/∂y dtheta.

Both are integrated together by an adaptive solver. The trace is a sum of products u·(J u) over directions u
with E[Σ u uᵀ] = I: all unit vectors, or a few random ones.

No model knows clean data, so the path starts at a level with a little noise. With x_start = alpha·x, what
is found is exactly the density of x0 + (sigma/alpha)·eps, the model's data blurred by that much. In the mean
over data the blur costs a divergence, KL(data ‖ blurred data): about ¼ (sigma/(alpha·s))⁴ nats in a direction
of standard deviation s, so next to nothing while the data varies by more than the noise.

Bytes have probabilities, not densities: with u uniform in the bin of width w around 0 (Theis et al. 2016,
section 3.1, by Jensen's inequality)

    log P(x) = log E[p(x + u)·w^D]  >=  E[log p(x + u)] + D log w.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from sfumato.condition import Condition
from sfumato.diffusion.denoiser import Denoiser
from sfumato.diffusion.level import Level, as_time
from sfumato.diffusion.process import prior
from sfumato.diffusion.samplers.base import Question, Scales
from sfumato.diffusion.schedules import Schedule, time_of_log_snr
from sfumato.errors import ConfigError
from sfumato.randomness import Noise


class Trace(Protocol):
    """A choice of directions from which the trace of a Jacobian is computed."""

    def directions(self, x: Tensor, noise: Noise) -> Tensor:
        """Return K directions u of the shape of `x`, (K, B, ...), with E[Σ u uᵀ] = I."""
        ...


@dataclass(frozen=True)
class ExactTrace:
    """All D unit vectors: no error, and D vector-Jacobian products a step."""

    def directions(self, x: Tensor, noise: Noise) -> Tensor:
        """Return the unit vectors: (D, B, ...)."""
        size = x[0].numel()
        unit = torch.eye(size, dtype=x.dtype, device=x.device)
        return unit.reshape(size, 1, *x.shape[1:]).expand(size, *x.shape)


@dataclass(frozen=True)
class Hutchinson:
    """Random signs, unbiased (Hutchinson 1990; Grathwohl et al. 2019, equation 7; Song et al. 2021, 4.3).

    probes: K, how many. They stay the same along the whole path, so that what is integrated is smooth.
    """

    probes: int = 1

    def __post_init__(self) -> None:
        if self.probes < 1:
            raise ConfigError(f"a trace needs at least 1 probe, not {self.probes}")

    def directions(self, x: Tensor, noise: Noise) -> Tensor:
        """Return `probes` times ±1/sqrt(probes): (probes, B, ...)."""
        signs = [1 - 2 * (noise.normal(x.shape) < 0).to(x) for _ in range(self.probes)]
        return torch.stack(signs) / math.sqrt(self.probes)


def value_and_trace(
    field: Callable[[Tensor], Tensor], x: Tensor, directions: Tensor
) -> tuple[Tensor, Tensor]:
    """Return field(x): (B, ...) and Σ u·(J u): (B,), the trace of its Jacobian image by image."""
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        value = field(x)
        (products,) = torch.autograd.grad(value, x, directions, is_grads_batched=True)
    return value.detach(), (products * directions).flatten(2).sum((0, 2))


def radius(level: Level) -> Tensor:
    """Return sqrt(alpha² + sigma²), the size of unit data at `level`."""
    return torch.hypot(level.alpha, level.sigma)


def angle(level: Level) -> Tensor:
    """Return atan(sigma/alpha): 0 on clean data, ½π on pure noise."""
    return torch.atan2(level.sigma, level.alpha)


def turning(ask: Question, y: Tensor, at: Scales) -> Tensor:
    """Return dy/dtheta = cos(theta)·ε̂ − sin(theta)·x̂0 at y: (B, ...)."""
    size = math.hypot(at.alpha, at.sigma)
    estimate = ask(size * y, at)
    return estimate.mix(-at.sigma / size, at.alpha / size)


@dataclass(frozen=True)
class LogLikelihood:
    """What was found, and its price.

    log_prob: (B,), in nats an example; evaluations: network runs for each; products: vector-Jacobian products
    for each, a run backwards apiece.
    """

    log_prob: Tensor
    evaluations: int
    products: int


@dataclass(frozen=True)
class FlowLikelihood:
    """The log density of data under the flow of a denoiser.

    start: the time at which paths begin, None for the cleanest that the model knows (`t_min`); rtol, atol:
    how far off a step may be, relative and absolute, in y and in the log density per dimension. The batch
    shares its steps, which the worst image decides: every image is within the tolerance, and depends on its
    neighbours by no more than that. The network must let gradients through.
    """

    trace: Trace = ExactTrace()
    start: float | None = None
    rtol: float = 1e-5
    atol: float = 1e-5

    def __call__(
        self, denoiser: Denoiser, x0: Tensor, noise: Noise, condition: Condition | None = None
    ) -> LogLikelihood:
        """Return log p(x0); x0: (B, ...), unbounded; noise: for the trace's directions."""
        schedule, size = denoiser.schedule, x0[0].numel()
        start = self._start(schedule)
        first, last = schedule.level(start), schedule.level(1.0)
        directions = self.trace.directions(x0, noise)
        ask, products = Question(denoiser, condition), 0

        def move(theta: Tensor, state: Tensor) -> Tensor:
            nonlocal products
            # The solver's guess of a first step may look beyond the last angle, where nothing may be asked.
            turned = as_time(theta.cpu()).clamp(max=float(angle(last)))
            at = ask.at(float(time_of_log_snr(schedule, -2 * turned.tan().log())))
            y = state[:, :-1].reshape(x0.shape)
            velocity, trace = value_and_trace(lambda y: turning(ask, y, at), y, directions)
            products += len(directions)
            return torch.cat([velocity.flatten(1), trace[:, None] / size], 1)

        y = float(first.alpha / radius(first)) * x0
        state = torch.cat([y.flatten(1), x0.new_zeros(len(x0), 1)], 1)
        state = self._integrate(move, state, angle(first), angle(last))
        x_1 = float(radius(last)) * state[:, :-1].reshape(x0.shape)
        # Densities of one thing in two units differ by the units' ratio to the power D.
        units = (radius(last) / radius(first) * first.alpha).log()
        spread = size * (state[:, -1] + float(units))
        return LogLikelihood(prior(schedule, x_1).log_prob(x_1) + spread, ask.evaluations, products)

    def _start(self, schedule: Schedule) -> float:
        start = schedule.t_min if self.start is None else self.start
        if not 0 <= start < 1 or not float(schedule.level(start).sigma) > 0:
            raise ConfigError(
                f"a likelihood needs a path from a little noise to t = 1, and {type(schedule).__name__} has "
                f"none from t = {start:g} on: start above 0 and below 1."
            )
        return start

    def _integrate(
        self, move: Callable[[Tensor, Tensor], Tensor], state: Tensor, start: Tensor, end: Tensor
    ) -> Tensor:
        from torchdiffeq import odeint

        angles = as_time(torch.stack([start, end]), state.device)
        # A step must end at the last angle: beyond it there are no levels.
        options = {"norm": worst_image, "step_t": angles[1:], "dtype": angles.dtype}
        try:
            return odeint(
                move, state, angles, rtol=self.rtol, atol=self.atol, method="dopri5", options=options
            )[-1]
        except AssertionError as error:
            raise ConfigError(
                f"the flow of this model cannot be followed to a tolerance of {self.rtol:g} ({error}): train "
                "it longer, or allow a larger tolerance."
            ) from error


def worst_image(error: Tensor) -> Tensor:
    """Return the largest error of an image: the root mean square of y's, or that of the log density.

    error: (B, D + 1), the log density's last, in units of the tolerance.
    """
    of_y, of_density = error[:, :-1].square().mean(1).sqrt(), error[:, -1].abs()
    return torch.maximum(of_y, of_density).max()


@dataclass(frozen=True)
class Dequantised:
    """A lower bound on the log probability of rounded data, estimated with one place in each bin.

    width: of a bin, as the model sees the data (2/255 for bytes scaled to [−1, 1]).
    """

    density: FlowLikelihood
    width: float = 2 / 255

    def __post_init__(self) -> None:
        if not self.width > 0:
            raise ConfigError(f"a bin needs a width above 0, not {self.width}")

    def __call__(
        self, denoiser: Denoiser, x0: Tensor, noise: Noise, condition: Condition | None = None
    ) -> LogLikelihood:
        """Return log p(x0 + u) + D log w, at most log P(x0) in the mean over u; x0: (B, ...)."""
        place = torch.special.ndtr(noise.normal(x0.shape)).to(x0) - 0.5
        found = self.density(denoiser, x0 + self.width * place, noise, condition)
        volume = x0[0].numel() * math.log(self.width)
        return replace(found, log_prob=found.log_prob + volume)

"""Reconstruction from a linear measurement y = A·x0 + n, n ~ N(0, noise_std² I).

What a denoiser believes of x0 given x_t is taken to be a Gaussian with its first two moments, which Tweedie's
formulas read off the denoiser itself:

    mean x̂0(x_t),   covariance V = sigma²/alpha·∂x̂0/∂x_t

and a Gaussian is conditioned on y in closed form:

    E[x0 | x_t, y] = x̂0 + V Aᵀ (A V Aᵀ + noise_std² I)^{-1} (y − A x̂0)

(moment matching posterior sampling, Rozet et al. 2024; Song et al. 2023 take V = r² I instead). V is never
formed: it is symmetric, so V·u is one product of a vector with the Jacobian, the network's backward pass, and
the inverse is a few steps of conjugate gradients. Exact for Gaussian data, with as many steps as y has
numbers; for other data an approximation that becomes exact as the noise falls.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from sfumato.condition import Condition
from sfumato.diffusion.denoiser import Denoiser
from sfumato.diffusion.guidance.gradients import differentiable, with_signal
from sfumato.diffusion.level import Level, expand
from sfumato.diffusion.prediction import Estimate
from sfumato.diffusion.schedules import Schedule
from sfumato.errors import ConfigError

Measurement = Callable[[Tensor], Tensor]
"""A linear map x0: (B, ...) -> (B, ...) that treats every row alike: a mask, a blur, a coarser picture."""


@dataclass(frozen=True)
class Measured:
    """A denoiser told y = measure(x0) + noise_std·n.

    y: what was measured, broadcasts to measure's output; noise_std: at least 0, in the units of y;
    iterations: steps of conjugate gradients, at least 1; few also keep an imprecise network's V in check.
    The wrapped denoiser must be differentiable by x_t. Raises ConfigError where one of these does not hold.
    """

    denoiser: Denoiser
    measure: Measurement
    y: Tensor
    noise_std: float
    iterations: int = 3

    def __post_init__(self) -> None:
        if not self.noise_std >= 0 or self.iterations < 1:
            raise ConfigError(
                "a measurement needs a noise_std of at least 0 and at least 1 iteration, not "
                f"{self.noise_std} and {self.iterations}"
            )

    @property
    def schedule(self) -> Schedule:
        """The wrapped denoiser's schedule."""
        return self.denoiser.schedule

    def estimate(self, x_t: Tensor, t: Tensor, condition: Condition | None = None) -> Estimate:
        """Condition the wrapped denoiser's Gaussian on y."""
        asked = with_signal(self.schedule, t)
        with differentiable(x_t) as (x, kept):
            estimate = self.denoiser.estimate(x, asked, condition)
            x0 = estimate.x0 + self._correction(estimate.x0, x, self.schedule.level(asked), kept)
        fraction = estimate.variance_fraction
        if not kept:
            x0, fraction = x0.detach(), None if fraction is None else fraction.detach()
        level = self.schedule.level(t)
        eps = (x_t - expand(level.alpha, x_t) * x0) / expand(level.sigma, x_t)
        return replace(estimate, x0=x0, eps=eps, variance_fraction=fraction)

    def _correction(self, x0: Tensor, x: Tensor, level: Level, kept: bool) -> Tensor:
        """Return V Aᵀ (A V Aᵀ + noise_std² I)^{-1} (y − A x̂0): (B, ...)."""
        if not x0.requires_grad:
            raise ConfigError(
                "this denoiser keeps no gradient, which a measurement needs: use its network itself, not a "
                "form of it for inference"
            )
        scale = expand(level.sigma.square() / level.alpha, x)
        transpose = torch.func.vjp(self.measure, torch.zeros_like(x0))[1]

        def spread(u: Tensor) -> Tensor:
            """Return V Aᵀ u."""
            (along,) = transpose(u)
            return scale * torch.autograd.grad(x0, x, along, retain_graph=True, create_graph=kept)[0]

        def image(moved: Tensor, u: Tensor) -> Tensor:
            """Return (A V Aᵀ + noise_std² I) u, given V Aᵀ u."""
            return self.measure(moved) + self.noise_std**2 * u

        return conjugate_gradients(spread, image, self.y.to(x0) - self.measure(x0), self.iterations)

    def evaluations(self, t: float, condition: Condition | None = None) -> int:
        """Return the wrapped denoiser's count, once forward and once backward for every iteration."""
        return self.denoiser.evaluations(t, condition) * (1 + self.iterations)


def conjugate_gradients(
    spread: Callable[[Tensor], Tensor],
    image: Callable[[Tensor, Tensor], Tensor],
    residual: Tensor,
    iterations: int,
) -> Tensor:
    """Return spread(u) for the u that solves image(spread(u), u) = residual, row by row (Hestenes & Stiefel).

    The map u -> image(spread(u), u) should be symmetric and positive; a row that meets a direction in which
    it is not stays where it is. spread(u) is summed up on the way, so the solution costs no call of its own.
    """
    direction, total = residual, residual.new_zeros(())
    size = _dot(residual, residual)
    for _ in range(iterations):
        moved = spread(direction)
        mapped = image(moved, direction)
        step = _ratio(size, _dot(direction, mapped))
        total = total + expand(step, moved) * moved
        residual = residual - expand(step, residual) * mapped
        before, size = size, _dot(residual, residual)
        direction = residual + expand(_ratio(size, before), residual) * direction
    return total


def _dot(a: Tensor, b: Tensor) -> Tensor:
    """Return the inner product of each row: (B,)."""
    return (a * b).flatten(1).sum(1)


def _ratio(a: Tensor, b: Tensor) -> Tensor:
    """Return a/b: (B,), 0 where b is not positive."""
    positive = b > 0
    return torch.where(positive, a / torch.where(positive, b, torch.ones_like(b)), torch.zeros_like(a))

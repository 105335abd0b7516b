"""Penalties on the slope of a critic, without which the two sides of the game chase each other in circles.

    R1     r1/2 · |∇D(x)|²               on data        (Mescheder et al. 2018, equation 9)
    R2     r2/2 · |∇D(G(z))|²            on samples     (the same, equation 10)
    slope  slope · (|∇D(x̂)| − 1)²        on points x̂ between both (Gulrajani et al. 2017, equation 3)

The first two make the equilibrium, where D is flat, attract; both together with the relativistic loss are
proven to converge near it (Huang et al. 2024, "The GAN is dead; long live the GAN!", proposition 2). The
gradient is by the picture, and its norm a sum over pixels.

To differentiate a gradient costs as much as two ordinary passes each way, so it is asked of a share of a
batch's rows alone, whose weight makes up for the others: the mean over batches is the same.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from sfumato.condition import Condition

Critic = Callable[[Tensor, Condition | None], Tensor]
"""(x: (B, ...), condition) -> (B, outputs)."""


def gradient(critic: Critic, x: Tensor, condition: Condition | None) -> Tensor:
    """Return the gradient by x: (B, ...) of what the critic says as (B, D), differentiable.

    Of two outputs, whose softmax is read, that is how far the first lies above the second.
    """
    x = x.detach().requires_grad_()
    with torch.enable_grad():
        said = critic(x, condition).float()
        above = said[:, 0].sum() - said[:, 1:].sum()
        (slope,) = torch.autograd.grad(above, x, create_graph=True)
    return slope.flatten(1).float()


def repeated(condition: Condition | None, times: int) -> Condition | None:
    """Return the condition of a batch that stands so many times over."""
    if condition is None:
        return None
    return condition.map(lambda value: torch.cat([value] * times))


@dataclass(frozen=True)
class Penalties:
    """How much each costs; 0 leaves it out."""

    r1: float = 0.0
    r2: float = 0.0
    slope: float = 0.0

    def __call__(
        self, critic: Critic, real: Tensor, fake: Tensor, condition: Condition | None, mix: Tensor
    ) -> Tensor:
        """Return the penalty of each pair of data and samples: (B, ...) as (B,).

        mix: (B,), in [0, 1], where between them the third is measured.
        """
        cost = real.new_zeros(len(real), dtype=torch.float32)
        wanted = [(weight, x) for weight, x in ((self.r1, real), (self.r2, fake)) if weight]
        if wanted:
            weights, places = zip(*wanted, strict=True)
            # In one pass, which costs small networks little more than either alone.
            slopes = gradient(critic, torch.cat(places), repeated(condition, len(places)))
            squares = slopes.square().sum(1).chunk(len(places))
            cost = sum((weight / 2 * square for weight, square in zip(weights, squares, strict=True)), cost)
        if self.slope:
            between = torch.lerp(fake, real, mix.view(-1, *[1] * (real.ndim - 1)).to(real.dtype))
            # The root has no derivative at 0, where an untrained critic may be.
            norm = (gradient(critic, between, condition).square().sum(1) + 1e-12).sqrt()
            cost = cost + self.slope * (norm - 1).square()
        return cost

    def on_share(
        self,
        share: float,
        critic: Critic,
        real: Tensor,
        fake: Tensor,
        condition: Condition | None,
        mix: Tensor,
    ) -> Tensor:
        """Return the same: (B,), measured on the first `share` of the rows, 0 on the others."""
        rows, whole = math.ceil(share * len(real)), len(real)
        some = None if condition is None else condition[:rows]
        cost = self(critic, real[:rows], fake[:rows], some, mix[:rows])
        return torch.cat([cost * (whole / rows), cost.new_zeros(whole - rows)])

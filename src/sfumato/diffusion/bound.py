"""The variational bound of a chain of T steps, term by term.

    −log p(x0) <= KL(q(x_T | x0) ‖ p(x_T))                                      prior
                + Σ over i = 2 … T of KL(q(x_s | x_t, x0) ‖ p(x_s | x_t))       steps, s = (i − 1)/T, t = i/T
                − log p(x0 | x_1)                                               decoder

(Sohl-Dickstein et al. 2015; Ho et al. 2020, equation 5), in nats per example, summed over the entries. The
model's step is p(x_s | x_t) = N(the posterior's mean at x̂0, std²). This is the bound of a hierarchical
variational autoencoder whose encoders only add noise. Where std is the posterior's own, each step is

    ½ (SNR_s − SNR_t)·‖x0 − x̂0‖²     (Kingma et al. 2021, equation 13).
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from sfumato.condition import Condition
from sfumato.diffusion.decoder import Decoder
from sfumato.diffusion.denoiser import Denoiser
from sfumato.diffusion.level import as_time, expand
from sfumato.diffusion.prediction import Estimate
from sfumato.diffusion.process import corrupt, marginal, posterior, posterior_scales, prior, transition_scales
from sfumato.diffusion.schedules import Schedule
from sfumato.diffusion.variance import Variance
from sfumato.errors import ConfigError
from sfumato.normal import Normal
from sfumato.randomness import Noise


def deviations(schedule: Schedule, s: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """Return the smaller and the larger deviation of the step from t to s < t: () or (B,).

    The smaller is the posterior's. To the clean end that is 0, whose logarithm spoils training, so the next
    step's stands in for it (Ho et al. 2020 and Nichol & Dhariwal 2021 do so in their code).
    """
    level_s, level_t = schedule.level(s), schedule.level(t)
    # Only a step to s = 0 needs the next one, which ends at 2t.
    level_u = schedule.level((2 * t).clamp(max=1))
    small, after = posterior_scales(level_s, level_t)[2], posterior_scales(level_t, level_u)[2]
    large = transition_scales(level_s, level_t)[1]
    small = torch.where(small > 0, small, after)
    # A chain of one step has no next one.
    return torch.where(small > 0, small, large), large


def starts_at_data(schedule: Schedule) -> bool:
    """Return whether there is no noise at t = 0, without which no chain of steps leads back to the data."""
    return float(schedule.level(0.0).sigma) == 0


@dataclass(frozen=True)
class Chain:
    """The T steps of a schedule as a model of x0.

    variance: of the reverse steps; decoder: the likelihood at the last one.
    """

    schedule: Schedule
    steps: int
    variance: Variance
    decoder: Decoder

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ConfigError(f"a chain needs at least 1 step, not {self.steps}")
        if not starts_at_data(self.schedule):
            raise ConfigError(
                f"the bound needs a chain that starts at the data, but {type(self.schedule).__name__} has "
                f"noise {float(self.schedule.level(0.0).sigma):g} at t = 0: choose another schedule."
            )

    def reverse(self, estimate: Estimate, x_t: Tensor, index: Tensor) -> Normal:
        """Return p(x_s | x_t) of the steps `index`: (B,), from 1 to T; x_t: (B, ...)."""
        s, t = (index - 1) / self.steps, index / self.steps
        mean = posterior(self.schedule, estimate.x0, x_t, s, t).mean
        std = self.variance.std(*deviations(self.schedule, s, t), estimate.variance_fraction)
        return Normal(mean, expand(std, x_t) if std.ndim <= 1 else std.to(x_t))

    def prior_term(self, x0: Tensor) -> Tensor:
        """Return KL(q(x_T | x0) ‖ p(x_T)) in nats: (B,)."""
        return marginal(self.schedule, x0, 1.0).kl(prior(self.schedule, x0))

    def term(self, estimate: Estimate, x0: Tensor, x_t: Tensor, index: Tensor) -> Tensor:
        """Return what the steps `index`: (B,) add to the bound, in nats: (B,).

        Step 1 adds the decoder's term, the others a divergence; x0: (B, ...), x_t: (B, ...) at t = index/T.
        """
        index = as_time(index)
        s, t = (index - 1) / self.steps, index / self.steps
        model, truth = self.reverse(estimate, x_t, index), posterior(self.schedule, x0, x_t, s, t)
        last = index == 1
        # The last step's posterior is a point; any other width keeps the unused branch's gradient finite.
        width = torch.where(expand(last, x_t).bool(), torch.ones_like(truth.std), truth.std)
        divergence = Normal(truth.mean, width).kl(model)
        return torch.where(last.to(x_t.device), -self.decoder.log_prob(x0, model), divergence)


@dataclass(frozen=True)
class BoundTerms:
    """The bound of a batch, in nats per example.

    prior, decoder: (B,); steps: (T − 1, B), for i = 2 … T; dimensions: entries of an example.
    """

    prior: Tensor
    steps: Tensor
    decoder: Tensor
    dimensions: int

    @property
    def total(self) -> Tensor:
        """The bound on −log p(x0): (B,)."""
        return self.prior + self.steps.sum(0) + self.decoder


def bits_per_dimension(nats: Tensor, dimensions: int) -> Tensor:
    """Turn nats per example into bits per entry."""
    return nats / (dimensions * math.log(2))


def bound_terms(
    denoiser: Denoiser, chain: Chain, x0: Tensor, noise: Noise, condition: Condition | None = None
) -> Iterator[Tensor]:
    """Yield what the steps T, T − 1, …, 1 add to the bound, in nats: (B,), with fresh noise for each.

    x0: (B, ...). It is a generator so that a caller can show how far it is: T evaluations take a while.
    """
    for number in range(chain.steps, 0, -1):
        index = torch.full((len(x0),), number, dtype=torch.float64)
        t = index / chain.steps
        x_t = corrupt(chain.schedule, x0, noise.normal(x0.shape).to(x0), t)
        yield chain.term(denoiser.estimate(x_t, t[0], condition), x0, x_t, index)


def bound(
    denoiser: Denoiser, chain: Chain, x0: Tensor, noise: Noise, condition: Condition | None = None
) -> BoundTerms:
    """Return all terms of the bound of `x0`: (B, ...), estimated with one noise a step."""
    *steps, decoder = bound_terms(denoiser, chain, x0, noise, condition)
    none = x0.new_zeros(0, len(x0))
    terms = torch.stack(steps[::-1]) if steps else none
    return BoundTerms(chain.prior_term(x0), terms, decoder, x0[0].numel())

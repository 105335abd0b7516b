"""What a variational autoencoder maximises: lower bounds of log p(x), with their usual changes.

    evidence      E_q[ log p(x|z) ] − beta·Σ_i max(floor, KL(q_i ‖ p_i))
    importance    log (1/K) Σ_k exp( log p(x|z_k) + beta·[log p(z_k) − log q(z_k|x)] )

The first is Kingma & Welling's (2014, equation 10), the divergence in closed form; beta is Higgins et al.'s
(2017), the floor of each unit Kingma et al.'s "free bits" (2016, equation 15), here for each example alone
rather than the mean of a batch, so that an example's loss does not depend on its neighbours. The second is
Burda et al.'s (2016, equation 8). With beta = 1, no floor and one draw both have the same mean.
"""

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from sfumato.normal import Normal


class LowerBound(Protocol):
    """A lower bound of log p(x), or what is maximised in its place."""

    def __call__(self, log_p: Tensor, q: Normal, eps: Tensor, beta: float) -> Tensor:
        """Return the bound of each example in nats: (B,).

        log_p: (B, K), log p(x | z_k) of the K draws z_k = mean + std·eps_k; q: the posterior, (B, latent);
        eps: (B, K, latent); beta: the weight of the prior.
        """
        ...


def unit(like: Tensor) -> Normal:
    """Return the prior N(0, 1) in the shape of `like`."""
    return Normal(torch.zeros_like(like), torch.ones_like(like))


def unit_divergences(q: Normal) -> Tensor:
    """Return KL(q_i ‖ N(0, 1)) of every unit in nats: (B, latent)."""
    each = Normal(q.mean.flatten(), q.std.expand_as(q.mean).flatten())
    return each.kl(unit(each.mean)).unflatten(0, q.mean.shape)


@dataclass(frozen=True)
class Evidence:
    """The evidence lower bound. floor: nats a unit, below which its divergence costs the same."""

    floor: float = 0.0

    def __call__(self, log_p: Tensor, q: Normal, eps: Tensor, beta: float) -> Tensor:
        """Return the mean over the draws less beta times the divergence: (B,)."""
        return log_p.mean(1) - beta * unit_divergences(q).clamp(min=self.floor).sum(1)


@dataclass(frozen=True)
class Importance:
    """The importance-weighted bound, tighter with every draw."""

    def __call__(self, log_p: Tensor, q: Normal, eps: Tensor, beta: float) -> Tensor:
        """Return the log of the mean weight: (B,)."""
        log_weight = log_p + beta * log_prior_over_posterior(q, eps)
        return log_weight.logsumexp(1) - math.log(log_p.shape[1])


def log_prior_over_posterior(q: Normal, eps: Tensor) -> Tensor:
    """Return log p(z) − log q(z | x) of z = mean + std·eps, eps: (B, K, latent), in nats: (B, K)."""
    spread = Normal(q.mean[:, None].expand_as(eps).flatten(0, 1), q.std[:, None].expand_as(eps).flatten(0, 1))
    z = spread.sample(eps.flatten(0, 1))
    return (unit(z).log_prob(z) - spread.log_prob(z)).unflatten(0, eps.shape[:2])

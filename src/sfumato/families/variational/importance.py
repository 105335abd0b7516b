"""The importance-weighted bound: how likely a latent variable model holds an example, from below.

    log p(x) ≥ L_K = E[ log (1/K) Σ_k p(x, z_k)/q(z_k | x) ],   z_k ~ q(z | x)

(Burda et al. 2016, equation 8.) L_1 is the evidence lower bound; L_K never falls with K and tends to
log p(x). Any family that can weigh one draw of its latents is measured by the same few lines.
"""

import math
from typing import Protocol

import torch
from torch import Tensor

from sfumato.condition import Condition
from sfumato.errors import ConfigError
from sfumato.randomness import Noise


class Weighing(Protocol):
    """A model of latent variables."""

    def log_weight(self, x: Tensor, noise: Noise, condition: Condition | None = None) -> Tensor:
        """Draw z from q(z | x) and return log p(x, z) − log q(z | x) in nats: (B,); x: (B, ...)."""
        ...


def log_likelihood_bound(
    model: Weighing,
    x: Tensor,
    samples: int,
    noise: Noise,
    condition: Condition | None = None,
    rows: int = 2048,
) -> Tensor:
    """Estimate L_K of each example in nats: (B,) of float64, on the device of x.

    x: (B, ...); samples: K, at least 1; noise: must serve more rows than B, as `BatchNoise` does; rows: of
    the largest batch that is weighed at once. The estimate is unbiased for L_K: it is at most log p(x) in
    the mean, though not for every example.
    """
    if samples < 1:
        raise ConfigError(f"an importance-weighted bound needs at least 1 sample, not {samples}")
    most = max(1, rows // len(x))
    weights = []
    for start in range(0, samples, most):
        copies = min(most, samples - start)
        # Every row of a copy is an example's draw of its own.
        many = x.repeat(copies, *(1 for _ in x.shape[1:]))
        places = torch.arange(len(x), device=x.device).repeat(copies)
        asked = None if condition is None else condition[places]
        with torch.no_grad():
            weights.append(model.log_weight(many, noise, asked).double().unflatten(0, (copies, len(x))))
    return torch.cat(weights).logsumexp(0) - math.log(samples)

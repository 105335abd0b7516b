"""The hierarchical autoencoder whose encoders learn nothing: they add known noise, and one decoder undoes it.

    q(z_k | z_{k−1}) = N(a_k·z_{k−1}, b_k² I),   k = 1 … K,   z_0 = x

Because the encoders are known and linear, so is what is below a level given what is above and x: by Bayes'
rule a product of two Gaussians of z, whose precisions add up,

    q(z | z_k, x) ∝ N(z_k; a_k·z, b_k² I) · N(z; A·x, B² I),   A, B: of the k − 1 steps at once.

With the decoder p(z_{k−1} | z_k) = q(z_{k−1} | z_k, x̂(z_k, k)), which guesses x and lets the encoders say the
rest, every term of the hierarchical bound is a divergence of two known Gaussians:

    −log p(x) <= KL(q(z_K | x) ‖ p(z_K)) + Σ over k > 1 of KL(q(z_{k−1} | z_k, x) ‖ p(z_{k−1} | z_k))
                 − log p(x | z_1)

This is a diffusion model, and the sum is its bound (Ho et al. 2020, equation 5; Kingma et al. 2021): the same
numbers as `diffusion.bound` from none of its formulas. There is nothing else to train here: recipe `bound`
trains the decoder by these very terms, and every other recipe of diffusion by weighing them otherwise.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from sfumato.condition import Condition
from sfumato.diffusion.decoder import Decoder
from sfumato.diffusion.denoiser import Denoiser
from sfumato.diffusion.schedules import Schedule
from sfumato.errors import ConfigError
from sfumato.normal import Normal
from sfumato.randomness import Noise


@dataclass(frozen=True)
class NoiseEncoders:
    """K encoders that add noise. keep: a_1 … a_K; spread: b_1 … b_K, all above 0."""

    keep: tuple[float, ...]
    spread: tuple[float, ...]

    @classmethod
    def of(cls, schedule: Schedule, levels: int) -> "NoiseEncoders":
        """Return the encoders whose k of K steps at once are the schedule's level at t = k/K.

        Raises ConfigError for no levels, and for a schedule with noise at t = 0, where no encoder begins.
        """
        if levels < 1:
            raise ConfigError(f"a hierarchy needs at least 1 level, not {levels}")
        at = schedule.level(torch.arange(levels + 1, dtype=torch.float64) / levels)
        if float(at.sigma[0]) > 0:
            raise ConfigError(
                f"the first encoder starts at the data, but {type(schedule).__name__} has noise "
                f"{float(at.sigma[0]):g} at t = 0: choose another schedule."
            )
        keep = at.alpha[1:] / at.alpha[:-1]
        added = at.sigma[1:].square() - (keep * at.sigma[:-1]).square()
        return cls(tuple(keep.tolist()), tuple(added.sqrt().tolist()))

    @cached_property
    def at_once(self) -> tuple[tuple[float, float], ...]:
        """A and B² of the first k steps at once, for k = 0 … K."""
        found = [(1.0, 0.0)]
        for keep, spread in zip(self.keep, self.spread, strict=True):
            scale, variance = found[-1]
            found.append((keep * scale, keep**2 * variance + spread**2))
        return tuple(found)

    def path(self, x: Tensor, noise: Noise) -> Iterator[Tensor]:
        """Yield z_1 … z_K, each coded from the one before; x: (B, ...)."""
        z = x
        for keep, spread in zip(self.keep, self.spread, strict=True):
            z = Normal(keep * z, z.new_tensor(spread)).sample(noise.normal(x.shape).to(x))
            yield z

    def below(self, k: int, z: Tensor, x: Tensor) -> Normal:
        """Return q(z_{k−1} | z_k = z, x) for k > 1; x, z: (B, ...)."""
        keep, spread = self.keep[k - 1], self.spread[k - 1]
        scale, variance = self.at_once[k - 1]
        precision = (keep / spread) ** 2 + 1 / variance
        mean = (keep / spread**2 * z + scale / variance * x) / precision
        return Normal(mean, z.new_tensor(precision**-0.5))

    def top(self, x: Tensor) -> Normal:
        """Return q(z_K | x)."""
        scale, variance = self.at_once[-1]
        return Normal(scale * x, x.new_tensor(variance**0.5))


def hierarchical_bound(
    denoiser: Denoiser,
    levels: int,
    decoder: Decoder,
    x: Tensor,
    noise: Noise,
    condition: Condition | None = None,
) -> Tensor:
    """Return the terms of the bound on −log p(x) in nats: (K + 1, B), on one path of codes.

    First −log p(x | z_1), then a divergence for each of z_1 … z_K; x: (B, ...) of float64 for exact figures.
    denoiser: the one decoder, asked for x at t = k/K; decoder: the likelihood of x at z_1, whose width is
    that of the level above, because the last step's own is 0.
    """
    encoders = NoiseEncoders.of(denoiser.schedule, levels)
    terms = []
    for k, z in enumerate(encoders.path(x, noise), start=1):
        guess = denoiser.estimate(z, torch.tensor(k / levels, dtype=torch.float64), condition).x0
        if k > 1:
            terms.append(encoders.below(k, z, x).kl(encoders.below(k, z, guess)))
        else:
            width = encoders.below(2, z, x).std if levels > 1 else encoders.top(x).std
            terms.append(-decoder.log_prob(x, Normal(guess, width)))
    prior = Normal(torch.zeros_like(x), x.new_tensor(denoiser.schedule.prior_std))
    return torch.stack([*terms, encoders.top(x).kl(prior)])

"""The variational autoencoder (Kingma & Welling 2014; Rezende et al. 2014).

    p(z) = N(0, 1),   p(x | z) a decoder's likelihood,   q(z | x) = N(mu(x), sigma(x)²),   z = mu + sigma·eps

    log p(x) ≥ E_q[ log p(x | z) ] − KL(q(z | x) ‖ p(z))

Encoder and decoder rise on this bound together (`variational.bounds`); samples are decoded draws of the
prior. A unit whose divergence is about 0 nats says nothing of x: the prior has swallowed it ("posterior
collapse"), and the share of such units is measured.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import Tensor

from sfumato.condition import Condition
from sfumato.errors import ConfigError
from sfumato.families.agreements import Batch, DataFacts, Draws, Moment, Player
from sfumato.families.variational.bounds import (
    Evidence,
    Importance,
    LowerBound,
    log_prior_over_posterior,
    unit_divergences,
)
from sfumato.families.variational.likelihoods import Likelihood, likelihood_for
from sfumato.nets.gaussian_codec import GaussianCodec, picture_codec, posterior_of, vector_codec
from sfumato.randomness import Noise

PLAYER = "autoencoder"
UNUSED = 0.01
"""Nats below which a unit counts as unused (Burda et al. 2016, section 5.2, use its variance likewise)."""


@dataclass(frozen=True)
class VAE:
    """The design of a variational autoencoder.

    latent: numbers in a code; decoder: bernoulli (black and white), gaussian (one learned std an example),
    fixed-gaussian (with `std`) or logistic (bytes); beta: the weight of the divergence, 1 for a bound of the
    likelihood; warmup: the share of training over which it rises from 0; free_bits: nats a unit that cost
    nothing; samples: draws of a code in training, above 1 for the importance-weighted bound; conditional:
    whether both networks are told the label; width: channels; blocks: residual blocks each way.
    """

    latent: int = 32
    decoder: str = "gaussian"
    std: float | None = None
    beta: float = 1.0
    warmup: float = 0.0
    free_bits: float = 0.0
    samples: int = 1
    conditional: bool = False
    width: int = 128
    blocks: int = 1

    def __post_init__(self) -> None:
        for name in ("latent", "samples", "width", "blocks"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1, not {getattr(self, name)}")
        if not 0 <= self.warmup <= 1:
            raise ConfigError(f"warmup is a share of training: give 0 to 1, not {self.warmup}")
        if self.beta < 0 or self.free_bits < 0:
            raise ConfigError(f"beta and free_bits must be at least 0, not {self.beta} and {self.free_bits}")
        if self.free_bits and self.samples > 1:
            raise ConfigError("free_bits go with the bound of one sample: set samples to 1 or free_bits to 0")

    def build(self, facts: DataFacts) -> "VariationalAutoencoder":
        """Build it for pictures or vectors; raise ConfigError for a decoder or labels the data is not for."""
        observed = likelihood_for(facts, self.decoder, self.std)
        if self.conditional and not facts.classes:
            raise ConfigError("this data has no labels to tell the networks: set conditional to false")
        codec = picture_codec if len(facts.shape) == 3 else vector_codec
        classes = facts.classes if self.conditional else 0
        module = codec(facts.shape, self.latent, observed.outputs, self.width, self.blocks, classes)
        bound: LowerBound = Evidence(self.free_bits) if self.samples == 1 else Importance()
        return VariationalAutoencoder(
            module, observed, bound, self.latent, self.samples, self.beta, self.warmup, classes, facts.drop
        )


@dataclass(frozen=True)
class VariationalAutoencoder:
    """A codec of Gaussian codes and what it is trained for; see `VAE` for the numbers.

    classes: how many labels the networks are told, 0 for none; drop: the share of labels that is hidden.
    """

    module: GaussianCodec
    likelihood: Likelihood
    bound: LowerBound
    latent: int
    samples: int = 1
    beta: float = 1.0
    warmup: float = 0.0
    classes: int = 0
    drop: float = 0.0

    def players(self) -> tuple[Player, ...]:
        """Return the one player, encoder and decoder together."""
        return (Player(PLAYER, self.module, self.loss),)

    def draw(self, rows: int, shape: tuple[int, ...], generator: torch.Generator) -> Draws:
        """Draw the codes' noise, (B, K, latent), and whose label is hidden."""
        return {
            "eps": torch.randn(rows, self.samples, self.latent, generator=generator),
            "dropped": torch.rand(rows, generator=generator) < self.drop,
        }

    def with_modules(self, modules: Mapping[str, Callable[..., Tensor]]) -> "VariationalAutoencoder":
        """Return the same model around another form of its networks."""
        return replace(self, module=cast(GaussianCodec, modules.get(PLAYER, self.module)))

    def loss(self, batch: Batch, draws: Draws) -> Tensor:
        """Return minus the bound of each example in nats, its divergence weighed by beta so far: (B,)."""
        log_p, statistics = self._reconstruction(batch, draws)
        return -self.bound(log_p, posterior_of(statistics), draws["eps"], self.beta_at(batch.progress))

    def beta_at(self, progress: float) -> float:
        """Return the weight of the divergence at a share of training in [0, 1]."""
        return self.beta * min(1.0, progress / self.warmup) if self.warmup else self.beta

    def _reconstruction(self, batch: Batch, draws: Draws) -> tuple[Tensor, Tensor]:
        """Return log p(x | z_k): (B, K), and what the encoder said of the codes: (B, 2·latent)."""
        condition = batch.condition
        if condition is not None:
            condition = condition.drop(draws["dropped"])
        output, statistics = self.module(batch.examples, draws["eps"], condition)
        x = batch.examples.repeat_interleave(self.samples, 0)
        return self.likelihood.log_prob(output, x).unflatten(0, (-1, self.samples)), statistics

    @torch.no_grad()
    def measures(self, batch: Batch, draws: Draws) -> Mapping[str, float]:
        """Return both terms of the evidence bound, and the share of units that say nothing."""
        log_p, statistics = self._reconstruction(batch, draws)
        each = unit_divergences(posterior_of(statistics)).mean(0)
        return {
            "reconstruction (nats)": -float(log_p.mean()),
            "KL (nats)": float(each.sum()),
            "unused units (share)": float((each < UNUSED).cpu().double().mean()),
        }

    def divergence_of_units(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        """Return each unit's mean divergence over a batch x: (B, ...) in nats: (latent,)."""
        return unit_divergences(self.module.posterior(x, condition)).mean(0)

    def log_weight(self, x: Tensor, noise: Noise, condition: Condition | None = None) -> Tensor:
        """Draw z from q(z | x) and return log p(x, z) − log q(z | x) in nats: (B,); x: (B, ...)."""
        q = self.module.posterior(x, condition)
        eps = noise.normal(q.mean.shape).to(q.mean)
        log_p = self.likelihood.log_prob(self.module.decoder(q.sample(eps), condition), x)
        return log_p + log_prior_over_posterior(q, eps[:, None])[:, 0]

    @property
    def latent_shape(self) -> tuple[int, ...]:
        """The shape of one code."""
        return (self.latent,)

    def encode(self, x: Tensor, condition: Condition | None) -> Tensor:
        """Return the posterior means of x: (B, ...) as (B, latent)."""
        return self.module.posterior(x, condition).mean

    def decode(self, z: Tensor, condition: Condition | None) -> Tensor:
        """Return the likelihood's means for codes z: (B, latent) as (B, ...)."""
        return self.likelihood.mean(self.module.decoder(z, condition))

    def frames(
        self, shape: tuple[int, ...], noise: Noise, condition: Condition | None, options: object
    ) -> Iterator[Moment]:
        """Yield what draws of the prior decode to, (B, ...), which takes one step."""
        device = next(self.module.parameters()).device
        x = self.decode(noise.normal((shape[0], self.latent)).to(device), condition)
        yield Moment(0, 1, x, x, 0)
        yield Moment(1, 1, x, x, 1)

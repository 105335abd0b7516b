"""An adversarial game: a generator G of examples from noise, and a critic D that tells them from data.

    critic     minimises  E L_D(D(x), D(G(z))) + penalties on its slope
    generator  minimises  E L_G(D(G(z)), D(x))                              z ~ N(0, 1)

(Goodfellow et al. 2014; the losses in `losses`, the penalties in `penalties`.) Neither loss says how
good the samples are, so the critic's answers and measures of collapse stand beside them (`measures`).
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from sfumato.condition import Condition
from sfumato.errors import ConfigError
from sfumato.families.adversarial.losses import AdversarialLoss
from sfumato.families.adversarial.measures import coverage, relative_spread
from sfumato.families.adversarial.penalties import Penalties, repeated
from sfumato.families.agreements import Batch, Draws, Moment, Player
from sfumato.randomness import Noise

GENERATOR, CRITIC = "generator", "critic"


@dataclass(frozen=True)
class AdversarialGame:
    """A generator, (z: (B, latent), condition) -> (B, ...), and a critic, (x, condition) -> (B, outputs).

    plain_critic: the critic as it was built, whose gradient can be differentiated again where a compiled
    form's cannot; the rest: see `GAN`.
    """

    generator: Any
    critic: Any
    plain_critic: Any
    loss: AdversarialLoss
    penalties: Penalties
    fall: float
    share: float
    latent: int
    classes: int
    critic_moves: int = 1

    def players(self) -> tuple[Player, ...]:
        """Return both sides; the critic moves first, because the generator follows what it says."""
        return (
            Player(CRITIC, self.critic, self.critic_loss, sampled=False, compared=False),
            Player(GENERATOR, self.generator, self.generator_loss, every=self.critic_moves, compared=False),
        )

    def with_modules(self, modules: Mapping[str, Callable[..., Tensor]]) -> "AdversarialGame":
        """Return the same game with other forms of the networks named."""
        known: Mapping[str, Any] = modules
        return replace(self, **known)

    def draw(self, rows: int, shape: tuple[int, ...], generator: torch.Generator) -> Draws:
        """Draw the noise of each side's move, and where between data and samples a slope is measured."""
        return {
            "z": torch.randn(rows, self.latent, generator=generator),
            "critic z": torch.randn(rows, self.latent, generator=generator),
            "mix": torch.rand(rows, generator=generator),
        }

    def critic_loss(self, batch: Batch, draws: Draws) -> Tensor:
        """Return the critic's loss of each pair of an example and a sample, with its penalties: (B,)."""
        real, condition = batch.examples, self._told(batch.condition)
        with torch.no_grad():
            fake = self.generator(draws["critic z"], condition)
        said = self.critic(torch.cat([real, fake]), repeated(condition, 2)).float()
        loss = self.loss.critic(*said.chunk(2))
        faded = self.fall**batch.progress
        penalties = replace(self.penalties, r1=faded * self.penalties.r1, r2=faded * self.penalties.r2)
        return loss + penalties.on_share(self.share, self.plain_critic, real, fake, condition, draws["mix"])

    def generator_loss(self, batch: Batch, draws: Draws) -> Tensor:
        """Return the generator's loss of each sample: (B,)."""
        condition = self._told(batch.condition)
        fake = self.generator(draws["z"], condition)
        said = self.critic(fake, condition).float()

        @torch.no_grad()
        def real() -> Tensor:
            return self.critic(batch.examples, condition).float()

        return self.loss.generator(said, real)

    def frames(
        self, shape: tuple[int, ...], noise: Noise, condition: Condition | None, options: object
    ) -> Iterator[Moment]:
        """Yield the samples, (B, ...), at the start and at the end of the one step: noise is no picture."""
        asked = self._told(condition)
        if asked is not None and bool(asked.dropped["label"].any()):
            raise ConfigError("this GAN learned each class by its label: no sample can go without one.")
        z = noise.normal((shape[0], self.latent)).to(next(self.generator.parameters()).device)
        x = self.generator(z, asked)
        yield Moment(0, 1, x, x, 0)
        yield Moment(1, 1, x, x, 1)

    def measures(self, batch: Batch, draws: Draws) -> Mapping[str, float]:
        """Return what the critic says of data and samples, and whether these collapse."""
        condition = self._told(batch.condition)
        fake = self.generator(draws["z"], condition)
        said = self.critic(torch.cat([batch.examples, fake]), repeated(condition, 2)).float()
        real, made = said[:, 0].chunk(2)
        labels = None if condition is None else condition.values["label"]
        return {
            "critic on data": float(real.mean()),
            "critic on samples": float(made.mean()),
            "spread of samples over data": relative_spread(fake, batch.examples, labels),
            "coverage (share of data)": coverage(fake, batch.examples),
        }

    def _told(self, condition: Condition | None) -> Condition | None:
        """Return what the networks are told: nothing, or every row's label."""
        if not self.classes:
            return None
        if condition is None:
            raise ConfigError("this GAN learned each class by its label: ask for one in every sample.")
        return condition

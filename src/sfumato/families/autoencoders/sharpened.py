"""A tokenizer that is sharpened by a critic (Esser et al. 2021, "Taming transformers", section 3.1).

    autoencoder  minimises  −log p(x | ẑ) + the cost of the codes + sharpness·n·L_G(D(x~), D(x))
    critic       minimises  L_D(D(x), D(x~)) + penalties on its slope         x~: the mean of p(x | ẑ)

with n values in a picture, so that sharpness is in nats a value. What a few codes leave open a likelihood
blurs, as the mean of all that it could be; a critic that is shown pairs of pictures and what was rebuilt asks
for one of them instead. It counts from a share of training on, when there is something to sharpen, and not
for rows that are shown a part of their maps, which are to be blurred.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

import torch
from torch import Tensor

from sfumato.errors import ConfigError
from sfumato.families.adversarial.losses import LOSSES, AdversarialLoss
from sfumato.families.agreements import Batch, DataFacts, Draws, Player
from sfumato.families.autoencoders.multiscale_vq import MultiScaleQuantised, MultiScaleVQ
from sfumato.families.autoencoders.quantised import PLAYER, QuantisedCodec
from sfumato.nets.critic import PictureCritic

CRITIC = "critic"
MEASURED = 0.25
"""The share of rows on which the critic's slope is measured."""


@dataclass(frozen=True)
class SharpenedMultiScaleVQ(MultiScaleVQ):
    """The design of a sharpened tokenizer.

    sharpness: nats a value that the critic's wish is worth; since: the share of training from which on;
    critic_width: its channels; the rest as for a `MultiScaleVQ`.
    """

    sharpness: float = 0.1
    since: float = 0.3
    critic_width: int = 64

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.sharpness < 0:
            raise ConfigError(f"sharpness must be at least 0, not {self.sharpness}")
        if not 0 <= self.since < 1:
            raise ConfigError(f"since is a share of training of at least 0 and below 1, not {self.since}")
        if self.critic_width < 1:
            raise ConfigError(f"critic_width must be at least 1, not {self.critic_width}")

    def build(self, facts: DataFacts) -> "SharpenedQuantised":
        """Build both sides; raise ConfigError as for a `MultiScaleVQ`."""
        parts, game = self.parts(facts), LOSSES["relativistic"]
        channels, height, width = facts.shape
        critic = PictureCritic((channels, height, width), game.outputs, self.critic_width)
        return SharpenedQuantised(*parts, self.truncated, critic, critic, game, self.sharpness, self.since)


@dataclass(frozen=True)
class SharpenedQuantised(MultiScaleQuantised):
    """A tokenizer and its critic.

    plain_critic: the critic as it was built, whose gradient can be differentiated again where a compiled
    form's cannot; game: what both want; sharpness, since: see `SharpenedMultiScaleVQ`.
    """

    critic: Any
    plain_critic: Any
    game: AdversarialLoss
    sharpness: float
    since: float

    def players(self) -> tuple[Player, ...]:
        """Return both sides, the critic first, whose word the autoencoder is to follow."""
        (own,) = super().players()
        return (
            Player(CRITIC, self.critic, self.critic_loss, sampled=False, compared=False),
            replace(own, loss=self.loss, compared=False),
        )

    def with_modules(self, modules: Mapping[str, Callable[..., Tensor]]) -> "SharpenedQuantised":
        """Return the same game with other forms of the networks named."""
        module = cast(QuantisedCodec, modules.get(PLAYER, self.module))
        return replace(self, module=module, critic=modules.get(CRITIC, self.critic))

    def draw(self, rows: int, shape: tuple[int, ...], generator: torch.Generator) -> Draws:
        """Draw what a tokenizer needs, and where between pictures and rebuilt ones a slope is measured."""
        return {
            **super().draw(rows, shape, generator),
            "mix": torch.rand(rows, generator=generator),
        }

    def critic_loss(self, batch: Batch, draws: Draws) -> Tensor:
        """Return the critic's loss of each picture and what is rebuilt of it, with its penalties: (B,)."""
        real = batch.examples
        with torch.no_grad():
            made = self.likelihood.mean(self.module(real)[0])
        said = self.critic(torch.cat([real, made])).float()
        slope = self.game.penalties.on_share(MEASURED, self.plain_critic, real, made, None, draws["mix"])
        return self.game.critic(*said.chunk(2)) + slope

    def loss(self, batch: Batch, draws: Draws) -> Tensor:
        """Return the tokenizer's loss, and what the critic wishes of rows that are shown all maps: (B,)."""
        output, cost = self.module(batch.examples, draws["kept"])
        loss = cost - self.likelihood.log_prob(output, batch.examples)
        if batch.progress < self.since:
            return loss
        said = self.critic(self.likelihood.mean(output)).float()

        @torch.no_grad()
        def real() -> Tensor:
            return self.critic(batch.examples).float()

        whole = draws["kept"] == len(self.writing.maps)
        return loss + self.sharpness * batch.examples[0].numel() * whole * self.game.generator(said, real)

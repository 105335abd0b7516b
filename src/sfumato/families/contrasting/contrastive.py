"""Contrastive embeddings: two random views of an example near each other, those of others far away.

    z = head(f(view of x)),    loss = NT-Xent over the cosines of all z of the batch, times 1/temperature

(Chen et al. 2020, "SimCLR".) What is kept of it is f: the head that the loss looks through forgets what the
augmentations vary, which later tasks may want, and is left out of the embedding (their section 4.2). The
temperature is learned, as the log of its inverse, which is capped at 100 (Radford et al. 2021, "CLIP",
section 2.5): uncapped, training may sharpen it without end.

It is an encoder and no generator: nothing leads back from an embedding to a picture.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import Tensor

from sfumato.condition import Condition
from sfumato.errors import ConfigError
from sfumato.families.agreements import Batch, DataFacts, Draws, Player
from sfumato.families.contrasting.augmentations import Views, usual
from sfumato.families.contrasting.geometry import (
    ALIGNMENT,
    RANK,
    RECOGNISED,
    UNIFORMITY,
    alignment,
    effective_rank,
    recognised,
    uniformity,
    unit,
)
from sfumato.families.contrasting.info_nce import nt_xent, paired
from sfumato.nets.contrastive import LARGEST_SCALE, ContrastiveNet, Features

PLAYER = "encoder"
TEMPERATURE = "temperature"


@dataclass(frozen=True)
class Contrastive:
    """The options of a contrastive encoder.

    embedding: numbers in a code; projection: numbers the loss compares; widths: channels of each scale, the
    last of which has one pixel; temperature: at the start, from 0.01 on; strength: of the augmentations, 0
    for none; mirror: the share of mirrored pictures, None for what suits the data.
    """

    embedding: int = 128
    projection: int = 64
    widths: tuple[int, ...] = (128, 192, 256)
    temperature: float = 0.1
    strength: float = 1.0
    mirror: float | None = None

    def __post_init__(self) -> None:
        if min(self.embedding, self.projection, *self.widths, len(self.widths)) < 1:
            raise ConfigError("embedding, projection and widths are whole numbers of at least 1.")
        if not 1 / LARGEST_SCALE <= self.temperature <= 10:
            raise ConfigError(f"temperature must lie between 0.01 and 10, not {self.temperature}")
        if not 0 <= self.strength <= 2:
            raise ConfigError(f"strength must lie between 0 and 2, not {self.strength}")
        if self.mirror is not None and not 0 <= self.mirror <= 1:
            raise ConfigError(f"mirror is a share from 0 to 1, not {self.mirror}")

    def build(self, facts: DataFacts) -> "ContrastiveEncoder":
        """Build the encoder with fresh weights."""
        features = Features(facts.shape, self.widths, self.embedding)
        module = ContrastiveNet(features, self.embedding, self.projection, self.temperature)
        return ContrastiveEncoder(module, Views(usual(facts, self.strength, self.mirror)))


@dataclass(frozen=True)
class ContrastiveEncoder:
    """The encoder and how its two views are made.

    module: a `ContrastiveNet`, or a compiled or averaged form of it.
    """

    module: ContrastiveNet
    views: Views

    def players(self) -> tuple[Player, ...]:
        """Return the one player, the encoder with its head."""
        return (Player(PLAYER, self.module, self.loss, after=self.cap),)

    def with_modules(self, modules: Mapping[str, Callable[..., Tensor]]) -> "ContrastiveEncoder":
        """Return the same encoder with another form of its network."""
        return replace(self, module=cast(ContrastiveNet, modules.get(PLAYER, self.module)))

    def draw(self, rows: int, shape: tuple[int, ...], generator: torch.Generator) -> Draws:
        """Draw the numbers of every augmentation of both views."""
        return self.views.draw(rows, shape, generator)

    def loss(self, batch: Batch, draws: Draws) -> Tensor:
        """Return the NT-Xent loss of each example in nats: (B,)."""
        first, second = self.module(self.views(batch.examples, draws)).chunk(2)
        return nt_xent(first, second, self.module.scale)

    def cap(self, batch: Batch, draws: Draws) -> None:
        """Keep the temperature from falling below a hundredth."""
        self.module.cap()

    def encode(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        """Return the embeddings of examples x: (B, ...), before the head: (B, embedding), as float32."""
        return self.module.features(x).float()

    @torch.no_grad()
    def measures(self, batch: Batch, draws: Draws) -> Mapping[str, float]:
        """Return how the embeddings of a batch lie, see `geometry`, and the temperature."""
        embeddings = self.module.features(self.views(batch.examples, draws)).float()
        first, second = self.module.project(embeddings).chunk(2)
        similarities, partners = paired(first, second, self.module.scale)
        units = unit(first), unit(second)
        spread = {UNIFORMITY: uniformity(units[0])} if len(units[0]) > 1 else {}  # of one there is no pair
        return {
            **spread,
            ALIGNMENT: alignment(*units),
            RANK: effective_rank(embeddings.chunk(2)[0]),
            RECOGNISED: 100 * recognised(similarities, partners),
            TEMPERATURE: float(1 / self.module.scale),
        }

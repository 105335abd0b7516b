"""CLIP: pictures and sentences in one space, each near its partner and far from all others.

    u = f(picture)/|f(picture)|,   v = g(sentence)/|g(sentence)|,   loss: `pairs.matching` of u·v/temperature

(Radford et al. 2021.) The temperature is learned and capped as in `contrastive`. A sentence that stands for
several pictures of a batch is none of theirs to be told from: see `pairs`.

It finds the pictures that a sentence means and says whether a generated one follows its prompt; the codes of
its pictures are what the prior of DALL·E 2 makes and its decoder starts from.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import Tensor

from sfumato.condition import Condition
from sfumato.errors import ConfigError
from sfumato.families.agreements import Batch, DataFacts, Draws, Player
from sfumato.families.contrasting.augmentations.captioned import captioned
from sfumato.families.contrasting.augmentations.views import Views
from sfumato.families.contrasting.contrastive import TEMPERATURE
from sfumato.families.contrasting.geometry import recognised, unit
from sfumato.families.contrasting.pairs import matching, questions
from sfumato.nets.clip import ClipNet
from sfumato.nets.conditions import TEXT
from sfumato.nets.contrastive import LARGEST_SCALE, Features
from sfumato.nets.text import TextTransformer

PLAYER = "encoder"
VIEW = "view"
CAPTIONS_FOUND = "captions found (%)"
PICTURES_FOUND = "pictures found (%)"


@dataclass(frozen=True)
class CLIP:
    """The options of a pair of encoders.

    embedding: numbers in a code; widths: channels of each scale of pictures, the last of which has one pixel;
    width, layers: of the transformer that reads; temperature: at the start, from 0.01 on; strength: of the
    augmentations, 0 for none.
    """

    embedding: int = 128
    widths: tuple[int, ...] = (64, 128, 256)
    width: int = 128
    layers: int = 2
    temperature: float = 0.07
    strength: float = 1.0

    def __post_init__(self) -> None:
        counts = (self.embedding, self.width, *self.widths, len(self.widths))
        if min(counts) < 1 or self.layers < 0:
            raise ConfigError(
                "embedding, width and widths are whole numbers of at least 1, layers of at least 0."
            )
        if not 1 / LARGEST_SCALE <= self.temperature <= 10:
            raise ConfigError(f"temperature must lie between 0.01 and 10, not {self.temperature}")
        if not 0 <= self.strength <= 2:
            raise ConfigError(f"strength must lie between 0 and 2, not {self.strength}")

    def build(self, facts: DataFacts) -> "PictureAndText":
        """Build the encoders with fresh weights; raise ConfigError for data without captions."""
        if facts.text is None:
            raise ConfigError(
                "clip learns from pictures with captions, and this data has none: use data that has."
            )
        images = Features(facts.shape, self.widths, self.embedding)
        reader = TextTransformer(facts.text.vocabulary, facts.text.length, self.width, self.layers)
        module = ClipNet(images, reader, self.embedding, self.temperature)
        return PictureAndText(module, Views(captioned(facts, self.strength), (VIEW,)))


@dataclass(frozen=True)
class PictureAndText:
    """The two encoders and how a picture is varied in training.

    module: a `ClipNet`, or a compiled or averaged form of it.
    """

    module: ClipNet
    views: Views

    def players(self) -> tuple[Player, ...]:
        """Return the one player, both encoders."""
        return (Player(PLAYER, self.module, self.loss, after=lambda batch, draws: self.module.cap()),)

    def with_modules(self, modules: Mapping[str, Callable[..., Tensor]]) -> "PictureAndText":
        """Return the same encoders with other forms of their networks."""
        return replace(self, module=cast(ClipNet, modules.get(PLAYER, self.module)))

    def draw(self, rows: int, shape: tuple[int, ...], generator: torch.Generator) -> Draws:
        """Draw the numbers of every augmentation."""
        return self.views.draw(rows, shape, generator)

    def loss(self, batch: Batch, draws: Draws) -> Tensor:
        """Return the loss of each example in nats, the mean of both directions: (B,)."""
        tokens = _tokens(batch)
        images, texts = self.module(self.views(batch.examples, draws), tokens)
        return matching(images, texts, tokens, self.module.scale)

    def encode(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        """Return the embeddings of examples x: (B, ...), of length 1: (B, embedding), as float32."""
        return unit(self.module.images(x))

    def encode_text(self, tokens: Tensor) -> Tensor:
        """Return the embeddings of sentences, tokens (B, L), of length 1: (B, embedding), as float32."""
        return unit(self.module.texts(tokens))

    @torch.no_grad()
    def measures(self, batch: Batch, draws: Draws) -> Mapping[str, float]:
        """Return how often the partner is found in a batch, of examples as they are, and the temperature.

        Equal captions are no rivals, and a tie is not found.
        """
        tokens, scale = _tokens(batch), self.module.scale
        images, texts = self.encode(batch.examples), self.encode_text(tokens)
        return {
            CAPTIONS_FOUND: 100 * recognised(*questions(images, texts, tokens, scale)),
            PICTURES_FOUND: 100 * recognised(*questions(texts, images, tokens, scale)),
            TEMPERATURE: float(1 / scale),
        }


def _tokens(batch: Batch) -> Tensor:
    """Return the captions of a batch: (B, L)."""
    if batch.condition is None or TEXT not in batch.condition.values:
        raise ConfigError("clip learns from pictures with captions, and these have none: use data that has.")
    return batch.condition.values[TEXT]

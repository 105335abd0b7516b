"""What the fit loop and the faces may assume of a family, and nothing more.

A family that is trained says which *players* it has: a name, its parameters, its loss, how often it moves.
A diffusion model or an autoencoder has one, an adversarial pair has two; the loop knows no family. All that
is random in a loss is drawn beforehand for the whole global batch, so that any number of processes, each
taking its share of the rows, computes what one process would.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, Self, runtime_checkable

import torch
from torch import Tensor, nn

from sfumato.condition import Condition
from sfumato.diffusion.later import deferring
from sfumato.nets.causal.order import UNKNOWN as UNKNOWN
from sfumato.nets.conditions import Kinds
from sfumato.randomness import Noise

Draws = Mapping[str, Tensor]
"""Everything random about a batch, by name: (B, ...)."""


@dataclass(frozen=True)
class Batch:
    """Examples as the model sees them: (B, ...), and their condition, if any.

    progress: the share of training that is done, in [0, 1], for losses that change on the way.
    """

    examples: Tensor
    condition: Condition | None
    progress: float = 1.0


@dataclass(frozen=True)
class Player:
    """One side of the game that training is.

    name: unique in its family; module: what it trains; loss: (batch, draws) -> (B,), a loss an example;
    every: it moves at every `every`-th step; pace: its learning rate over the run's; floor: the share of its
    peak below which that rate does not fall; sampled: whether samples or codes come from it, which makes
    averages of its weights worth keeping; compared: whether a lower loss on held-out examples means a better
    model, which a game between two players does not say; steady: whether that loss can also be compared with
    an earlier one, which it cannot where what is aimed at moves along; after: what else changes once it has
    moved, such as a codebook's usage, given the batch and its draws; judged: what held-out examples cost,
    where that is not the loss, because training makes it harder on purpose: by dropout, say.

    While a player moves, the others are still: no gradient reaches their weights.
    """

    name: str
    module: nn.Module
    loss: Callable[[Batch, Draws], Tensor]
    every: int = 1
    pace: float = 1.0
    floor: float = 0.0
    sampled: bool = True
    compared: bool = True
    steady: bool = True
    after: Callable[[Batch, Draws], None] | None = None
    judged: Callable[[Batch, Draws], Tensor] | None = None


class Trainable(Protocol):
    """A family the fit loop can train."""

    def players(self) -> tuple[Player, ...]:
        """Return the sides of the game, in the order in which they move."""
        ...

    def draw(self, rows: int, shape: tuple[int, ...], generator: torch.Generator) -> Draws:
        """Draw what the losses of `rows` examples of `shape` need."""
        ...

    def with_modules(self, modules: Mapping[str, Callable[..., Tensor]]) -> Self:
        """Return the same family around other modules, by player: averaged or compiled ones.

        Players that are not named keep theirs.
        """
        ...


@dataclass(frozen=True)
class TextFacts:
    """What a family must know of captions: how many different tokens there are, and how many a row has."""

    vocabulary: int
    length: int


@dataclass(frozen=True)
class TokenFacts:
    """What is to be known of pictures that are maps of tokens.

    vocabulary: how many different tokens there are; maps: (h, w) of each map, the coarsest first. The tokens
    of a picture stand map after map, each of them in raster order.
    """

    vocabulary: int
    maps: tuple[tuple[int, int], ...]

    @property
    def count(self) -> int:
        """How many tokens a picture has."""
        return sum(height * width for height, width in self.maps)


@dataclass(frozen=True)
class DataFacts:
    """What a family must know of its data to be built.

    shape: of one example as the model sees it, (C, H, W) or (D,); classes: how many, 0 for none; bounds: the
    smallest and greatest value of bounded data; std: the standard deviation of all values; text: of the
    captions, None where there are none; tokens: of examples that are tokens, None where they are not; told:
    all that an example's condition says; drop: the share of examples whose conditions training hides.
    """

    shape: tuple[int, ...]
    classes: int = 0
    bounds: tuple[float, float] | None = None
    std: float = 1.0
    text: TextFacts | None = None
    tokens: TokenFacts | None = None
    told: Kinds = field(default_factory=dict)
    drop: float = 0.0


class Design(Protocol):
    """A family as a configuration writes it: a frozen dataclass whose fields are its options."""

    def build(self, facts: DataFacts) -> Trainable:
        """Build the family with fresh weights; raise ConfigError where it does not suit the data."""
        ...


@deferring("state", "guess")
@dataclass(frozen=True)
class Moment:
    """A moment of generation: `index` of `steps` steps done.

    state: (B, ...), where the walk stands, in the size of the data; guess: (B, ...), the picture it is
    believed to become, both computed when first read; evaluations: network runs so far, per picture.
    """

    index: int
    steps: int
    state: Tensor
    guess: Tensor
    evaluations: int


@runtime_checkable
class Generator(Protocol):
    """A family that makes new examples."""

    def frames(
        self, shape: tuple[int, ...], noise: Noise, condition: Condition | None, options: object
    ) -> Iterator[Moment]:
        """Yield the moments of making a batch of `shape`: (B, ...); the last one's state is the result."""
        ...


@runtime_checkable
class Labelled(Protocol):
    """A family whose samples obey labels.

    classes: how many labels it knows, 0 for none.
    """

    classes: int


@runtime_checkable
class Told(Protocol):
    """A family whose samples obey conditions of any sort.

    obeys: their names.
    """

    @property
    def obeys(self) -> tuple[str, ...]:
        """The names of its conditions."""
        ...


@runtime_checkable
class Choosing(Generator, Protocol):
    """A generator that can be sampled in more ways than one."""

    def options(self, given: Mapping[str, Any], known: Any) -> Any:
        """Return how to sample, as is usual but for what is `given`; known: what samples are to contain.

        Raises ConfigError for what cannot be.
        """
        ...

    def told(self, options: Any) -> dict[str, Any]:
        """Return how is sampled, ready for JSON."""
        ...

    def way(self) -> str:
        """Return how it is usually sampled, in a few words."""
        ...


@runtime_checkable
class Completing(Protocol):
    """A generator that can be told a part of what it is to make."""

    def known(self, x: Tensor, mask: Tensor) -> Any:
        """Return what `options` takes, so that samples are x: (1, ...) where a mask of pixels is true.

        mask: bool (1, H, W), of the pictures.
        """
        ...


@runtime_checkable
class Exact(Protocol):
    """A family that knows how probable an example is; unit: of what a value of it costs."""

    def log_prob(self, x: Tensor, condition: Condition | None) -> Tensor:
        """Return the log probability of x: (B, ...) in nats, float64 (B,)."""
        ...


@runtime_checkable
class Encoder(Protocol):
    """A family that knows an example by a code."""

    def encode(self, x: Tensor, condition: Condition | None) -> Tensor:
        """Return the codes of x: (B, ...) as (B, *latent); of a distribution of codes, its mean."""
        ...


@runtime_checkable
class TextEncoder(Protocol):
    """A family that knows a sentence by a code, in the space where its codes of examples lie."""

    def encode_text(self, tokens: Tensor) -> Tensor:
        """Return the codes of sentences, tokens (B, L) of int64 with 0 for padding: (B, D)."""
        ...


@runtime_checkable
class Autoencoder(Encoder, Protocol):
    """An encoder with a way back."""

    @property
    def latent_shape(self) -> tuple[int, ...]:
        """The shape of one code."""
        ...

    def decode(self, z: Tensor, condition: Condition | None) -> Tensor:
        """Return what codes z: (B, *latent) stand for: (B, ...), of a distribution its mean."""
        ...


@runtime_checkable
class PictureTokenizer(Autoencoder, Protocol):
    """An autoencoder whose codes can be written as whole numbers, one to each place of its maps."""

    @property
    def writing(self) -> TokenFacts:
        """The tokens and their maps."""
        ...

    def tokens(self, x: Tensor) -> Tensor:
        """Return the tokens of x: (B, C, H, W) as int64 (B, L)."""
        ...

    def decode_tokens(self, tokens: Tensor) -> Tensor:
        """Return what tokens (B, L), some of which may be `UNKNOWN`, stand for: (B, C, H, W)."""
        ...


@runtime_checkable
class Restorer(Protocol):
    """An autoencoder that may be shown less than the example in training, and is asked for all of it."""

    def draw(self, rows: int, shape: tuple[int, ...], generator: torch.Generator) -> Draws:
        """Draw what is taken away from each example."""
        ...

    def shown(self, x: Tensor, draws: Draws) -> Tensor:
        """Return what the encoder is shown of x: (B, ...)."""
        ...

    def restored(self, x: Tensor, draws: Draws) -> Tensor:
        """Return what is made of that, where nothing that was shown whole is put in question: (B, ...)."""
        ...


@runtime_checkable
class Measured(Protocol):
    """A family that can say more of itself than its loss."""

    def measures(self, batch: Batch, draws: Draws) -> Mapping[str, float]:
        """Return figures of a batch by their names with units, such as {"KL (nats)": 21.3}."""
        ...

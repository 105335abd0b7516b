"""What the fit loop and the faces may assume of a family, and nothing more.

A family that is trained says which *players* it has: a name, its parameters, its loss, how often it moves.
A diffusion model or an autoencoder has one, an adversarial pair has two; the loop knows no family. All that
is random in a loss is drawn beforehand for the whole global batch, so that any number of processes, each
taking its share of the rows, computes what one process would.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol, Self

import torch
from torch import Tensor, nn

from sfumato.condition import Condition
from sfumato.diffusion.later import deferring
from sfumato.randomness import Noise

Draws = Mapping[str, Tensor]
"""Everything random about a batch, by name: (B, ...)."""


@dataclass(frozen=True)
class Batch:
    """Examples as the model sees them: (B, ...), and their condition, if any."""

    examples: Tensor
    condition: Condition | None


@dataclass(frozen=True)
class Player:
    """One side of the game that training is.

    name: unique in its family; module: what it trains; loss: (batch, draws) -> (B,), a loss an example;
    every: it moves at every `every`-th step; pace: its learning rate over the run's; sampled: whether samples
    come from it, which makes averages of its weights worth keeping.
    """

    name: str
    module: nn.Module
    loss: Callable[[Batch, Draws], Tensor]
    every: int = 1
    pace: float = 1.0
    sampled: bool = True


class Trainable(Protocol):
    """A family the fit loop can train."""

    def players(self) -> tuple[Player, ...]:
        """Return the sides of the game, in the order in which they move."""
        ...

    def draw(self, rows: int, shape: tuple[int, ...], generator: torch.Generator) -> Draws:
        """Draw what the losses of `rows` examples of `shape` need."""
        ...

    def with_modules(self, modules: Mapping[str, Callable[..., Tensor]]) -> Self:
        """Return the same family around other modules, by player: averaged or compiled ones."""
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


class Generator(Protocol):
    """A family that makes new examples."""

    def frames(
        self, shape: tuple[int, ...], noise: Noise, condition: Condition | None, options: object
    ) -> Iterator[Moment]:
        """Yield the moments of making a batch of `shape`: (B, ...); the last one's state is the result."""
        ...

"""What the run layer asks of a model: a family with its configuration, and how it is sampled.

There are two kinds of configuration, and a model for each: that of a diffusion model, whose pieces are all in
sight, and that of every other family, which is one piece with options. Whatever differs between them is a
method here; training, sampling, scoring and reporting ask no further.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

import torch
from torch import nn

from sfumato.condition import Condition
from sfumato.families.agreements import Moment, Trainable
from sfumato.families.diffusion import Guide
from sfumato.randomness import Noise
from sfumato.runs.config import RunConfig


@dataclass(frozen=True)
class SamplingWish:
    """How to sample where that is not the model's own way; see `Run.request`.

    folder, trained: the run it is asked of, and the steps it was trained for; guides, known: see
    `runs.guides`.
    """

    folder: Path
    trained: int = 0
    guides: Sequence[Guide] = ()
    known: Sequence[Any] = ()
    options: Mapping[str, Any] | None = None


class Model(Protocol):
    """A family with its configuration."""

    @property
    def config(self) -> RunConfig:
        """What it is."""
        ...

    @property
    def family(self) -> Any:
        """What is trained and sampled; see `families.agreements` for what it may be able to do."""
        ...

    @property
    def called(self) -> str:
        """What a person calls it, with its article."""
        ...

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes that it can be asked for, () for none."""
        ...

    @property
    def obeys(self) -> tuple[str, ...]:
        """The names of the conditions that its samples follow."""
        ...

    def around(self, modules: Mapping[str, nn.Module]) -> Self:
        """Return the model with other weights, by player, that only run forward from now on."""
        ...

    def trainee(self, folder: Path) -> Trainable:
        """Return what a training in `folder` moves."""
        ...

    def sampling(self, wish: SamplingWish) -> Any:
        """Return the options that `frames` takes; raise ConfigError for what this model cannot do."""
        ...

    def frames(
        self, shape: tuple[int, ...], noise: Noise, condition: Condition | None, options: Any
    ) -> Iterator[Moment]:
        """Yield the moments of sampling a batch."""
        ...

    def told(self, options: Any) -> dict[str, Any]:
        """Return how is sampled, ready for JSON."""
        ...

    def way(self) -> str:
        """Return how it is sampled, in a few words, "" where there is but one way."""
        ...

    def refuse_idle(self) -> None:
        """Raise ConfigError for a setting of a new run that would have no effect."""
        ...

    def notes(self) -> list[str]:
        """Return what to doubt before it is trained, a sentence each."""
        ...


def device_of(model: Model) -> torch.device:
    """Return where the weights are that it is sampled with; others may lie elsewhere."""
    sampled = next(player for player in model.family.players() if player.sampled)
    return next(sampled.module.parameters()).device

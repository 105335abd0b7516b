"""What the run layer asks of a condition.

A condition is a piece of a configuration. It knows its kind, which the network is built for, and opens a
reader, which turns what stands in a data set, and what a person asks for, into the tensors that the network
is told.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from sfumato.data.dataset import Split
from sfumato.nets.conditions import Kind

Lookup = Callable[[Tensor, Tensor], Tensor]
"""(places in a split: (B,), the examples there: (B, ...) as the data is) -> values: (B, ...)."""


class Reader(Protocol):
    """The way from what is said to tensors."""

    def of_split(self, split: Split) -> Lookup:
        """Return how examples of `split` are told; raise DataError where it says nothing of them."""
        ...

    def asked(self, values: Sequence[Any] | None, n: int) -> Tensor | None:
        """Return the values of `n` samples, cycling through what was asked for: (n, ...).

        None asks for what suits most, or for nothing: then None. Raises ConfigError for what cannot be asked.
        """
        ...

    def nothing(self, n: int) -> Tensor:
        """Return values of `n` samples that stand where nothing was asked, and are hidden: (n, ...)."""
        ...


@runtime_checkable
class Listener(Protocol):
    """A reader of sentences, which says what it does not hear."""

    def lost(self, texts: Sequence[str]) -> list[str]:
        """Return what the model does not hear of prompts, a sentence each."""
        ...


class ConditionPiece(Protocol):
    """A condition as a configuration writes it: a frozen dataclass whose fields are its options."""

    @property
    def always(self) -> bool:
        """Whether it is never hidden, in training or by guidance."""
        ...

    def kind(self) -> Kind:
        """Return what the network must know of it."""
        ...

    def open(self, folder: Path, device: torch.device) -> Reader:
        """Return its reader; raise RunError where the run folder lacks what that needs."""
        ...


@dataclass(frozen=True)
class Cycled:
    """Values asked for, which samples take in turn."""

    values: Tensor

    def to(self, n: int) -> Tensor:
        """Return `n` of them: (n, ...)."""
        return self.values[torch.arange(n) % len(self.values)]

"""The conditions of a configuration as pieces, kinds and readers, and the condition of a batch."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sfumato.condition import Condition
from sfumato.data.dataset import Split
from sfumato.errors import ConfigError
from sfumato.families.conditioning import Conditioning
from sfumato.nets.conditions import ATTRIBUTES, PICTURE, TEXT, Kinds
from sfumato.nets.embedding import LABEL
from sfumato.runs.conditions.agreements import ConditionPiece, Lookup, Reader
from sfumato.runs.conditions.label import LabelReader
from sfumato.runs.config import RunConfig
from sfumato.runs.registry import build

Readers = Mapping[str, Reader]


def pieces(config: RunConfig) -> dict[str, ConditionPiece]:
    """Build the conditions of a run, by name."""
    return {name: build("condition", spec, {}) for name, spec in config.conditions.items()}


def kinds(config: RunConfig) -> Kinds:
    """Return what the network must know of each."""
    return {name: piece.kind() for name, piece in pieces(config).items()}


def always(config: RunConfig) -> frozenset[str]:
    """Return the conditions that are never hidden."""
    return frozenset(name for name, piece in pieces(config).items() if piece.always)


def conditioning(config: RunConfig) -> Conditioning:
    """Return what training does to the conditions of a run."""
    kept = always(config)
    picture = config.conditions.get(PICTURE)
    if picture is not None and config.latent is not None:
        raise ConfigError("a model that is shown a picture works on pixels: leave out --latent.")
    return Conditioning(
        drop=config.training.condition_drop,
        names=tuple(name for name in config.conditions if name not in kept),
        picture=None if picture is None else tuple(picture["shape"]),
        noise=0.0 if picture is None else picture["noise"],
        attributes=len(config.conditions[ATTRIBUTES]["names"]) if ATTRIBUTES in config.conditions else 0,
    )


@dataclass(frozen=True)
class Wishes:
    """What is asked of a model.

    wanted: by the name of a condition, what is asked for; away: what guidance is to lead away from; like:
    examples that say what to ask for where nothing was. Labels alone are all asked for in turn.
    """

    wanted: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    away: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    like: Split | None = None


@dataclass(frozen=True)
class Conditions:
    """Everything a run can be told, ready to be read.

    readers: by name; always: the names of those that are never hidden.
    """

    readers: Readers
    always: frozenset[str]

    @classmethod
    def open(cls, config: RunConfig, folder: Path, device: torch.device) -> "Conditions":
        """Open the readers of a run; raise RunError where the folder lacks what one needs."""
        readers = {name: piece.open(folder, device) for name, piece in pieces(config).items()}
        return cls(readers, always(config))

    def only(self, names: Iterable[str]) -> "Conditions":
        """Return those of `names` alone."""
        return replace(self, readers={name: self.readers[name] for name in names})

    def lookups(self, split: Split) -> dict[str, Lookup]:
        """Return how the examples of a split are told; raise DataError where it says nothing of them."""
        return {name: reader.of_split(split) for name, reader in self.readers.items()}

    def of(self, values: Mapping[str, Tensor]) -> Condition | None:
        """Return the condition that these values, (B, ...) each, are."""
        if not values:
            return None
        told = Condition.of(**values)
        return Condition(told.values, told.dropped, always=self.always)

    def asked(self, wishes: Wishes, n: int) -> Condition | None:
        """Return the condition of `n` samples; raise ConfigError for one that this model does not know."""
        for name in (*wishes.wanted, *wishes.away):
            if name not in self.readers:
                raise ConfigError(_unknown(name, tuple(self.readers)))
        found = {name: self._asked_of(name, wishes, n) for name in self.readers}
        told = {
            name: self.readers[name].nothing(n) if value is None else value for name, value in found.items()
        }
        hidden = {name: torch.full((n,), value is None) for name, value in found.items()}
        asked_away = {name: self.readers[name].asked(given, n) for name, given in wishes.away.items()}
        instead = {name: value for name, value in asked_away.items() if value is not None}
        return Condition(told, hidden, instead, self.always) if told else None

    def said(self, wishes: Wishes, n: int) -> dict[str, tuple[Any, ...]]:
        """Return what is asked for, image by image, in words: what was said, captions, names of classes."""
        like, said = wishes.like, dict(wishes.wanted)
        if like is not None and like.captions and TEXT in self.readers:
            said.setdefault(TEXT, like.captions)
        reader = self.readers.get(LABEL)
        if isinstance(reader, LabelReader) and LABEL not in said:
            places = self._asked_of(LABEL, wishes, n)
            if places is not None:
                said[LABEL] = [reader.classes[place] for place in places.tolist()]
        return cycled(said, n)

    def _speaks_of_more(self, wishes: Wishes) -> bool:
        """Return whether anything but a label is asked for: then no label is, unless it was named."""
        others = self.readers.keys() - {LABEL}
        return bool(others) and (wishes.like is not None or bool(others & wishes.wanted.keys()))

    def _asked_of(self, name: str, wishes: Wishes, n: int) -> Tensor | None:
        """Return the values of one condition: what is asked for, what the examples have, what suits most."""
        like = wishes.like
        if name == LABEL and name not in wishes.wanted and self._speaks_of_more(wishes):
            return None if like is None or like.labels is None else like.labels[torch.arange(n) % len(like)]
        if name in wishes.wanted or name == LABEL or like is None:
            return self.readers[name].asked(wishes.wanted.get(name), n)
        some = like.select(torch.arange(n) % len(like))  # a reader may have to encode what it is given
        places = torch.arange(n)
        return self.readers[name].of_split(some)(places, some.batch(places)[0])


def cycled(said: Mapping[str, Sequence[Any]], n: int) -> dict[str, tuple[Any, ...]]:
    """Return what each of `n` images is asked for, where they take turns."""
    return {name: tuple(values[place % len(values)] for place in range(n)) for name, values in said.items()}


NOTHING = Conditions({}, frozenset())
"""What a model is told that is told nothing."""

PLAINLY = {
    "label": "this model knows no labels: sample it without --label.",
    "text": "this model was trained without captions: sample it without --prompt.",
    "embedding": "this model is told no embeddings: leave them out, or train one that is by --encoder RUN.",
    "attributes": "this model was trained without attributes: sample it without --attributes.",
    "picture": "this model makes pictures of its own, not others larger: leave the picture out.",
}


def _unknown(name: str, known: tuple[str, ...]) -> str:
    told = ", ".join(known) or "nothing"
    return PLAINLY.get(name, f"this model is told {told}, and not '{name}': leave it out.")

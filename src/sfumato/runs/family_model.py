"""The run layer's model of any family but diffusion: sampled in one way, if it is a generator at all."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from sfumato.condition import Condition
from sfumato.errors import ConfigError
from sfumato.families.agreements import (
    Autoencoder,
    Choosing,
    Generator,
    Labelled,
    Moment,
    TextEncoder,
    Told,
    Trainable,
)
from sfumato.nets.conditions import TEXT
from sfumato.nets.embedding import LABEL
from sfumato.randomness import Noise
from sfumato.runs.agreements import SamplingWish, device_of
from sfumato.runs.conditions.text import TextCondition
from sfumato.runs.config import FamilyConfig
from sfumato.runs.inpainting import KeptPart
from sfumato.train.device import autocast

READING = ("width", "layers")
"""How a transformer reads words: options of it, wherever it stands."""


@dataclass(frozen=True)
class FamilyModel:
    """A model of any family but diffusion."""

    config: FamilyConfig
    family: Any

    @property
    def called(self) -> str:
        """The family's name in the registry."""
        return f"a run of '{self.config.family['name']}'"

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the data's classes, where the family was built to obey them."""
        return self.config.data.classes if LABEL in self.obeys else ()

    @property
    def obeys(self) -> tuple[str, ...]:
        """What the family was built to obey: labels, unless it says otherwise."""
        if isinstance(self.family, Told):
            return self.family.obeys
        return (LABEL,) if isinstance(self.family, Labelled) and self.family.classes > 0 else ()

    def around(self, modules: Mapping[str, nn.Module]) -> "FamilyModel":
        """Return the model with other weights."""
        return replace(self, family=self.family.with_modules(modules))

    def trainee(self, folder: Path) -> Trainable:
        """Return the family."""
        return self.family

    def sampling(self, wish: SamplingWish) -> Any:
        """Return how to sample; refuse what is no generator, and options without effect."""
        if not isinstance(self.family, Generator):
            raise ConfigError(self._no_generator(wish.folder))
        if isinstance(self.family, Choosing) and not wish.guides:
            kept = next((part.known for part in wish.known if isinstance(part, KeptPart)), None)
            return self.family.options(wish.options or {}, kept)
        asked = [name.replace("_", "-") for name in wish.options or {}]
        asked += ["guides"] if wish.guides or wish.known else []
        if asked:
            raise ConfigError(
                f"{wish.folder} is {self.called}, which is sampled in one way: leave out {', '.join(asked)}, "
                "which only a diffusion model has."
            )
        return None

    def _no_generator(self, folder: Path) -> str:
        """Say why there is nothing to sample, and what to do instead."""
        if isinstance(self.family, Autoencoder):
            return (
                f"{folder} is {self.called}: it encodes and decodes, but has no prior to sample from. "
                f"Train a diffusion model in its codes by 'sfumato train DATA --latent {folder}'."
            )
        return (
            f"{folder} is {self.called}: it only encodes, so there is nothing to sample. Ask it for codes: "
            f"'sfumato encode {folder} DATA --out codes.npz'."
        )

    def frames(
        self, shape: tuple[int, ...], noise: Noise, condition: Condition | None, options: Any
    ) -> Iterator[Moment]:
        """Yield the moments; the caller's own arithmetic between them is left alone."""
        moments = self.family.frames(shape, noise, condition, options)
        while True:
            with self.running():
                moment = next(moments, None)
            if moment is None:
                return
            yield moment

    def running(self) -> ExitStack:
        """Return the context in which the networks of this model run without training."""
        stack = ExitStack()
        stack.enter_context(torch.inference_mode())
        stack.enter_context(autocast(device_of(self), self.config.precision))
        return stack

    def told(self, options: Any) -> dict[str, Any]:
        """Return what the family says of its options, nothing where there is one way."""
        return self.family.told(options) if isinstance(self.family, Choosing) else {}

    def way(self) -> str:
        """Return what the family says of its usual options, nothing where there is one way."""
        return self.family.way() if isinstance(self.family, Choosing) else ""

    def refuse_idle(self) -> None:
        """Refuse how words are to be read, where the family reads them by options of its own."""
        said = self.config.conditions.get(TEXT)
        if said is None or not isinstance(self.family, TextEncoder):
            return
        usual = {field.name: field.default for field in fields(TextCondition)}
        for key in (name for name in READING if name in said and said[name] != usual[name]):
            raise ConfigError(
                f"conditions.text.{key} has no effect on {self.called}, which reads words in its own way: "
                f"set family.{key}."
            )

    def notes(self) -> list[str]:
        """Nothing is known to doubt."""
        return []

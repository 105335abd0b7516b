"""The checker's word on many pictures."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sfumato.data.scenes.sentence import parse
from sfumato.errors import DataError
from sfumato.metrics.scene_checker.things import see
from sfumato.metrics.scene_checker.verdicts import ASPECTS, judge

SMALLEST = 16  # pixels a side; below, a small cross is five pixels


@dataclass(frozen=True)
class Checked:
    """What was found of N pictures. asked, right: {aspect: bool (N,)}, right only where it was asked for."""

    asked: dict[str, Tensor]
    right: dict[str, Tensor]

    def __len__(self) -> int:
        return len(self.asked["count"])

    @property
    def all(self) -> Tensor:
        """Whether everything that its sentence says is right, of each picture: bool (N,)."""
        return torch.stack([self.right[name] | ~self.asked[name] for name in ASPECTS]).all(0)

    @property
    def shares(self) -> dict[str, float]:
        """The share that is right of those pictures that an aspect was asked of, and of "all"."""
        found = {
            name: float(self.right[name].sum() / self.asked[name].sum())
            for name in ASPECTS
            if self.asked[name].any()
        }
        return found | {"all": float(self.all.double().mean())}

    def rows(self) -> list[tuple[str, str]]:
        """Return the shares as a table for a person: (aspect, share and count) pairs."""
        asked = {name: int(self.asked[name].sum()) for name in ASPECTS} | {"all": len(self)}
        return [(name, f"{share:.1%} of {asked[name]:,}") for name, share in self.shares.items()]


def check(pictures: Tensor, sentences: Sequence[str]) -> Checked:
    """Check whether pictures show what their sentences say.

    pictures: uint8 (N, 3, S, S), S at least 16; sentences: N, as `scenes.parse` takes them.
    Raises DataError for other pictures or another number of sentences, ConfigError for an unknown sentence.
    """
    require_scenes(pictures, sentences)
    verdicts = [judge(things, parse(text)) for things, text in zip(see(pictures), sentences, strict=True)]
    asked = {name: torch.tensor([name in verdict for verdict in verdicts]) for name in ASPECTS}
    right = {name: torch.tensor([verdict.get(name, False) for verdict in verdicts]) for name in ASPECTS}
    return Checked(asked, right)


def require_scenes(pictures: Tensor, sentences: Sequence[str]) -> None:
    """Raise DataError unless there are square colour pictures, and one sentence for each."""
    shape = tuple(pictures.shape)
    fits = len(shape) == 4 and shape[1] == 3 and shape[2] == shape[3] >= SMALLEST
    if pictures.dtype != torch.uint8 or not fits or not len(pictures):
        raise DataError(
            f"Pictures of type {pictures.dtype} and shape {shape} are no scenes: give one or more as uint8 "
            f"(N, 3, S, S), S at least {SMALLEST}."
        )
    if len(sentences) != len(pictures):
        raise DataError(f"{len(pictures)} pictures need {len(pictures)} sentences, not {len(sentences)}.")

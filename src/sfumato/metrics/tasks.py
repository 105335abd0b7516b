"""What the judge's network is taught: the data's own classes, or, without labels, which way is up.

A network that tells which of four quarter turns was applied to a picture has to know what the picture
shows, so its features serve where nobody has named any classes (Gidaris et al. 2018).
"""

from dataclasses import dataclass
from typing import ClassVar, Protocol

import torch
from torch import Tensor

from sfumato.data import Dataset

TURNS = 4


class Task(Protocol):
    """A question with a known answer about every picture."""

    @property
    def name(self) -> str:
        """What is told apart, for a person."""
        ...

    @property
    def outputs(self) -> int:
        """The number of possible answers."""
        ...

    @property
    def names_classes(self) -> bool:
        """Whether an answer is a class of the data."""
        ...

    def lesson(
        self, pictures: Tensor, labels: Tensor | None, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Return pictures (B, C, H, W) and answers, int64 (B,), to learn from."""
        ...

    def exam(self, pictures: Tensor, labels: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return pictures (M, C, H, W) and answers, int64 (M,), to be examined on; nothing is random."""
        ...


@dataclass(frozen=True)
class Classes:
    """Tell the classes of the data apart; classes: their names, two or more."""

    classes: tuple[str, ...]
    names_classes: ClassVar[bool] = True

    @property
    def name(self) -> str:
        """What is told apart."""
        return f"{len(self.classes)} classes"

    @property
    def outputs(self) -> int:
        """The number of classes."""
        return len(self.classes)

    def lesson(
        self, pictures: Tensor, labels: Tensor | None, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Return the pictures and their labels as they are."""
        return self.exam(pictures, labels)

    def exam(self, pictures: Tensor, labels: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return the pictures and their labels as they are."""
        if labels is None:
            raise ValueError("a split of a data set with classes has no labels")
        return pictures, labels


@dataclass(frozen=True)
class Rotations:
    """Tell by how many quarter turns a square picture was turned."""

    name: ClassVar[str] = "4 rotations"
    outputs: ClassVar[int] = TURNS
    names_classes: ClassVar[bool] = False

    def lesson(
        self, pictures: Tensor, labels: Tensor | None, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Return each picture turned at random, and its number of quarter turns."""
        turns = torch.randint(TURNS, (len(pictures),), generator=generator)
        turned = pictures.clone()
        for turn in range(1, TURNS):
            rows = turns == turn
            turned[rows] = torch.rot90(pictures[rows], turn, (2, 3))
        return turned, turns

    def exam(self, pictures: Tensor, labels: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return every picture in all four turns: M = 4·B."""
        turned = torch.cat([torch.rot90(pictures, turn, (2, 3)) for turn in range(TURNS)])
        return turned, torch.arange(TURNS).repeat_interleave(len(pictures))


def task_for(dataset: Dataset) -> Task:
    """Return the classes where there are at least two, else rotations: one class teaches nothing."""
    return Classes(dataset.classes) if len(dataset.classes) >= 2 else Rotations()

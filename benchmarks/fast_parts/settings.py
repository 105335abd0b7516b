"""What a run of the benchmark was asked for, and how a part says that it cannot be measured."""

import os
from dataclasses import dataclass
from pathlib import Path


class NotMeasuredError(Exception):
    """A part cannot be measured here; the message says why and what would help."""


@dataclass(frozen=True)
class Settings:
    """One run of the benchmark.

    runs: where trained runs are kept, and found again; out: where pictures go; day: part of their names;
    seeds: trainings of each kind; rounds: of interleaved timing; batch: images a training step; samples: how
    many are scored; colour_samples: the same for colour, where a peer takes seconds an image; haste: share
    of the budgets that is trained for, 1 unless the benchmark itself is being tried out; threads: of every
    process.
    """

    runs: Path
    out: Path
    day: str
    seeds: int = 1
    rounds: int = 5
    batch: int = 64
    samples: int = 5000
    colour_samples: int = 2000
    haste: float = 1.0
    threads: int = 2

    @property
    def data(self) -> Path:
        """The folder with MNIST and CIFAR-10; raise NotMeasuredError where there is none."""
        if folder := os.environ.get("SFUMATO_DATA"):
            return Path(folder)
        raise NotMeasuredError("set SFUMATO_DATA to the folder with mnist.npz and cifar10.tar.xz")

    @property
    def mnist(self) -> Path:
        """MNIST as one .npz."""
        path = self.data / "mnist.npz"
        if path.is_file():
            return path
        raise NotMeasuredError(f"there is no {path.name} in the folder that SFUMATO_DATA names")

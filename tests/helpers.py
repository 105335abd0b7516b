"""Small runs that several tests share."""

import sys
from pathlib import Path

import pytest

import sfumato
from sfumato.app.cli.main import main
from sfumato.data import Dataset
from sfumato.recipes import configure
from sfumato.runs.fitting import Training
from sfumato.train.budget import Budget
from sfumato.train.signals import StopRequest

TINY = ("network.widths=[16,16]", "network.blocks=1", "training.batch=16", "training.warmup=5")
"""A network that takes a step in milliseconds."""


def call(*words: str | Path) -> int:
    """Run the command line in this process and return its exit code."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["sfumato", *map(str, words)])
        try:
            main()
        except SystemExit as end:
            return int(end.code or 0)
    return 0


def digits() -> Dataset:
    """The embedded digits."""
    return sfumato.load_data("digits")


def tiny_training(folder: Path, steps: int, *settings: str, seed: int = 0) -> Training:
    """A training of a tiny network on the digits, not yet begun."""
    dataset = digits()
    config = configure(dataset, seed=seed, settings=(*TINY, *settings))
    return Training(config, dataset, folder, Budget("steps", steps))


def exhaust(training: Training, stop_after: int | None = None) -> None:
    """Train to the end of the budget, or ask for a stop after so many steps."""
    stop = StopRequest()
    for _ in training.events(stop):
        if stop_after is not None and training.fit.done.steps >= stop_after:
            stop.name = "the test"


def captioned_folder(folder: Path, count: int = 48, size: int = 16) -> Path:
    """Fill a folder with small scenes and a table of their sentences; return it."""
    import csv

    import numpy as np
    from PIL import Image

    from sfumato.data.scenes import draw, parse, sentences, stage

    rng = np.random.default_rng(0)
    with (folder / "metadata.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["file_name", "text"])
        for place, text in enumerate(sentences("seen", count, 0)):
            pixels = draw(stage(parse(text), rng), size).transpose(1, 2, 0)
            Image.fromarray(np.ascontiguousarray(pixels)).save(folder / f"{place}.png")
            table.writerow([f"{place}.png", text])
    return folder

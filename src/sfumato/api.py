"""Python as short as the command line: load data, train, sample."""

from collections.abc import Iterable
from pathlib import Path

from sfumato.data.dataset import Dataset
from sfumato.recipes import configure
from sfumato.runs.fitting import Training
from sfumato.runs.run import Run
from sfumato.train.budget import Budget
from sfumato.train.events import Subscriber
from sfumato.train.signals import stop_on_signal


def fit(
    dataset: Dataset,
    out: str | Path,
    recipe: str | None = None,
    budget: str = "5m",
    seed: int = 0,
    settings: Iterable[str] = (),
    listeners: Iterable[Subscriber] = (),
) -> Run:
    """Train a new run on `dataset` into the folder `out` and return it, ready to be sampled.

    recipe: one of `sfumato.recipes.RECIPES`, by default what suits the data; budget: such as "90s", "5m" or
    "2000steps"; settings: "key=value" over the recipe; listeners: called with every event of training.
    Raises a SfumatoError for anything the caller can put right.
    """
    config = configure(dataset, recipe, seed, tuple(settings))
    training = Training(config, dataset, Path(out), Budget.parse(budget))
    training.begin()
    with stop_on_signal() as stop:
        for event in training.events(stop):
            for listener in listeners:
                listener(event)
    return Run.open(out)


def open_run(folder: str | Path) -> Run:
    """Open a run folder, ready to be sampled."""
    return Run.open(folder)

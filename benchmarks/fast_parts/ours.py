"""Ours, as a user meets it: a fit loop to be stepped, runs trained for a scaled budget, and their scores.

A budget of B seconds stands for B·10¹² floating point operations of the machine's own bf16 matrix product:
at a rate of R TFLOP/s, measured just before, training gets B/R seconds, compilation from cold caches
included. The rate is kept beside the run, for whoever scores it again.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import matrix_rate

import sfumato
from fast_parts.process import in_process
from fast_parts.settings import NotMeasuredError, Settings
from sfumato.data import Dataset
from sfumato.metrics import Scores, classes_to_ask, evaluate, judge_for
from sfumato.recipes import configure
from sfumato.runs.fitting import Training
from sfumato.runs.run import Run
from sfumato.train.budget import Budget
from sfumato.train.events import Notice, Stepped
from sfumato.train.signals import StopRequest


class OurTraining:
    """The fit loop of the `images` recipe on `data`, one step at a time.

    It decides as for a budget of five minutes, whether to compile for instance. Nothing is written.
    """

    def __init__(self, data: Dataset, batch: int, settings: Sequence[str] = (), seed: int = 0) -> None:
        budget = Budget.parse("5m")
        config = configure(data, "images", seed, (f"training.batch={batch}", *settings), budget)
        self.training = Training(config, data, Path("not written"), budget)
        self.notices: list[str] = []
        self._events = self.training.fit.run(Budget.parse("1000000000steps"), StopRequest())

    def step(self) -> None:
        """Take one step; what the loop has to say is kept in `notices`."""
        for event in self._events:
            if isinstance(event, Notice):
                self.notices.append(event.text)
            if isinstance(event, Stepped):
                return


@dataclass(frozen=True)
class Trained:
    """A trained run folder: the budget at 1 TFLOP/s, the rate before, seconds asked for, and wall-clock."""

    folder: str
    budget: float
    rate: float
    asked: float
    wall: float

    @property
    def run(self) -> Run:
        """The run, opened."""
        return sfumato.open_run(self.folder)

    def __str__(self) -> str:
        done = self.run.done
        return (
            f"{self.budget:g} s / {self.rate:.2f} TFLOP/s = {self.asked:.0f} s, {done.steps:,} steps, "
            f"{done.images / done.seconds:.0f} images/s, wall-clock {self.wall:.0f} s"
        )


def scaled(settings: Settings, budget: float) -> tuple[float, float]:
    """Return the machine's rate now and the seconds that stand for `budget` seconds at 1 TFLOP/s."""
    rate = matrix_rate()
    return rate, round(settings.haste * budget / rate, 1)


def trained(settings: Settings, name: str, source: str | Path, budget: float, seed: int = 0) -> Trained:
    """Return a run of the default recipe on the data at `source`, trained now unless it is kept already."""
    folder = settings.runs / f"{name}-{budget:g}s-{seed}"
    return _kept(folder, budget) or _train(
        settings, folder, budget, "fit", source=source, seed=seed, options=[]
    )


def distilled(settings: Settings, teacher: Trained, budget: float) -> Trained:
    """Return the one-step run distilled from `teacher`, made now unless it is kept already."""
    folder = Path(f"{teacher.folder}-distilled-{budget:g}s")
    if kept := _kept(folder, budget):
        return kept
    if not hasattr(sfumato, "distill"):
        raise NotMeasuredError("this version of sfumato has no `distill`")
    return _train(settings, folder, budget, "distill", run=teacher.folder, steps=1)


def _train(settings: Settings, folder: Path, budget: float, work: str, **arguments: object) -> Trained:
    rate, asked = scaled(settings, budget)
    print(f"  {folder.name}: {asked} s at {rate:.2f} TFLOP/s", flush=True)
    wall = in_process("cold", work, settings.threads, out=folder, budget=f"{asked}s", **arguments)
    made = Trained(str(folder), budget, rate, asked, wall)
    _note(folder).write_text(json.dumps(asdict(made)) + "\n")
    return made


def _kept(folder: Path, budget: float) -> Trained | None:
    if not folder.exists():
        return None
    if not _note(folder).exists():
        raise SystemExit(f"{folder} was not trained to its end by this benchmark: remove it.")
    kept = Trained(**{**json.loads(_note(folder).read_text()), "folder": str(folder)})
    print(f"  {folder.name}: kept from before", flush=True)
    return kept


def _note(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.json")


@dataclass(frozen=True)
class Scored:
    """Samples of a run, what they scored, and the evaluations each took."""

    samples: np.ndarray
    scores: Scores
    evaluations: int

    @property
    def ratio(self) -> float:
        """The Fréchet distance over its floor, mean over the shuffles; nan where the floor is zero."""
        return float("nan") if self.scores.ratio is None else self.scores.ratio.mean

    @property
    def read(self) -> float:
        """The share read as asked, nan where nothing was asked."""
        return float("nan") if self.scores.read_as_asked is None else self.scores.read_as_asked


def score(run: Run, data: Dataset, n: int, seed: int, **sampling: Any) -> Scored:
    """Sample `n` images from `seed` on and score them; sampling: what differs from the run's own way."""
    print(f"  sampling {n:,} of {Path(run.folder).name}", flush=True)
    labels = classes_to_ask(data, n)
    samples = run.sample(n, labels, seed, **sampling)
    one = run.request(1, seed=seed, **sampling)
    *_, last = run.walk(one, range(1))
    asked = run.request(n, labels, seed, **sampling).labels
    scores = evaluate(torch.from_numpy(samples), asked, data, judge_for(data))
    return Scored(samples, scores, last.moment.evaluations)

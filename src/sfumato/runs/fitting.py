"""Training a run: the fit loop, those who listen to it, and the folder it fills.

Every process of a distributed run walks the same code; the first one alone writes.
"""

import json
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator

from sfumato.data.dataset import Dataset
from sfumato.data.summary import describe
from sfumato.errors import RunError
from sfumato.families.agreements import Autoencoder, Generator
from sfumato.files import sweep, write_whole
from sfumato.nets.conditions import TEXT
from sfumato.runs.agreements import SamplingWish
from sfumato.runs.cascade.config import is_cascade
from sfumato.runs.conditions.build import Conditions, Wishes
from sfumato.runs.conditions.embedding import ENCODER
from sfumato.runs.config import RunConfig, read_config
from sfumato.runs.examples import Examples
from sfumato.runs.kept import keep
from sfumato.runs.latent import AUTOENCODER, keep_axes, open_scaling
from sfumato.runs.model import build_model, codes, decoded
from sfumato.runs.registry import build
from sfumato.runs.run import BUDGET, CHECKPOINT, CONFIG, DATA, LOG, Run, done_of
from sfumato.runs.sampling import Request, walk, within
from sfumato.train.averaging import Averages
from sfumato.train.budget import Budget
from sfumato.train.checkpoint import Checkpoint, load, save
from sfumato.train.compiling import can_compile
from sfumato.train.device import best_device
from sfumato.train.events import Ended, Event, Notice, Saved, Stepped
from sfumato.train.held_out import FIRST, HeldOutLoss, looks_in
from sfumato.train.history import History
from sfumato.train.loop import Fit, FitSettings
from sfumato.train.signals import StopRequest

WORTH_COMPILING = 900.0
"""Seconds of a time budget from which the minute or two that compiling takes is sure to be earned back."""
SMALLEST_LOOK = 16
"""Held-out examples that are looked at together at least."""
PREVIEW_SECONDS = 20.0
"""A preview shows how far samples get in this time, which is taken from the training's."""


def accelerator() -> Accelerator:
    """Return this process's place among its fellows, on the accelerator if there is one."""
    return Accelerator(cpu=best_device().type == "cpu")


def part(place: Accelerator) -> None:
    """Leave together: a process that ended early would take the others' connection with it."""
    place.wait_for_everyone()
    place.end_training()


class Training:
    """A run being trained in `folder`.

    Raises ConfigError where the configuration's pieces do not go together, before anything is written.
    """

    def __init__(self, config: RunConfig, dataset: Dataset, folder: Path, budget: Budget) -> None:
        self.config, self.dataset, self.folder, self.budget = config, dataset, folder, budget
        self.accelerator = accelerator()
        device = self.accelerator.device
        self.model = build_model(config)
        for player in self.model.family.players():
            player.module.to(device)
        if isinstance(self.model.family, Generator):
            self.model.sampling(SamplingWish(folder))  # refuses what cannot be sampled before it is trained
        self._trainee = self.model.trainee(folder)
        self.scaling = open_scaling(config, folder, device)
        self.conditions = Conditions.open(config, folder, device)
        self._news: deque[Event] = deque()
        self.fit = Fit(
            self._trainee,
            len(dataset.train),
            Examples(dataset.train, self.scaling, device, self.conditions).once(),
            config.shape,
            self._settings(),
            self.accelerator,
        )
        self.averages = Averages(self.fit.players)
        self._held_out = HeldOutLoss(
            self._trainee,
            self.averages,
            Examples(dataset.held_out, self.scaling, device, self.conditions).once(),
            len(dataset.held_out),
            config.shape,
            device,
            config.precision,
            self._news.append,
            times=looks_in(budget),
            first=max(FIRST, len(dataset.train) // config.training.batch),
            # What is too much at once in training is so here: examples of a few thousand tokens, say.
            chunk=min(256, max(config.training.batch, SMALLEST_LOOK)),
        )
        self._saved_at = 0.0

    @property
    def family(self) -> Any:
        """The model's family."""
        return self.model.family

    def _settings(self) -> FitSettings:
        training, device = self.config.training, self.accelerator.device
        long_enough = self.budget.of == "seconds" and self.budget.amount >= WORTH_COMPILING
        able = can_compile(device)
        if training.compile == "on" and not able:
            self._news.append(Notice("training goes on without compilation: no C++ compiler is installed"))
        wanted = {"on": True, "off": False, "auto": long_enough}[training.compile]
        return FitSettings(
            batch=training.batch,
            optimiser=build("optimiser", self.config.optimiser, {}),
            learning_rate=training.learning_rate,
            warmup=training.warmup,
            clip=training.clip,
            seed=self.config.seed,
            precision=self.config.precision,
            compile=wanted and able,
            flat=training.flat,
        )

    def begin(self) -> None:
        """Make the folder; raise RunError if it holds a run already or cannot be written.

        Raises ConfigError for what would have no effect; a run that has it nonetheless can be resumed.
        """
        self.model.refuse_idle()
        if not self.accelerator.is_main_process:
            return
        refuse_taken(self.folder)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._save()
            write_whole(self.folder / DATA, (json.dumps(describe(self.dataset), indent=2) + "\n").encode())
            self._keep_budget()
            write_whole(self.folder / CONFIG, self.config.to_json().encode())
        except OSError as error:
            raise RunError(
                f"cannot write to {self.folder} ({error.strerror}): choose another --out."
            ) from error

    def resume(self) -> None:
        """Take up where the folder's checkpoint left off."""
        if self.accelerator.is_main_process:
            sweep(self.folder)
        checkpoint = load(self.folder / CHECKPOINT)
        self.fit.load_tensors(checkpoint.tensors, done_of(checkpoint))
        self.averages.load_tensors(checkpoint.tensors)
        self._held_out.resume(self.budget.progress(self.fit.done), self.fit.done.steps)
        self._saved_at = self.fit.done.seconds

    def _keep_budget(self) -> None:
        write_whole(self.folder / BUDGET, (json.dumps({"budget": str(self.budget)}) + "\n").encode())

    def preview(self, which: str, n: int) -> np.ndarray | None:
        """Return `n` pictures by the "average" or the "raw" weights as they are now, from seed 0.

        A generator's samples, an autoencoder's view of held-out examples, None of what only encodes.
        """
        raw = {player.name: player.module for player in self.fit.players}
        averages = self.averages.modules()
        model = self.model.around({"average": averages, "raw": {name: raw[name] for name in averages}}[which])
        scaling = self.scaling
        if isinstance(model.family, Generator):
            unseen = self.dataset.unseen
            asked = self.conditions.only(model.obeys).asked(Wishes(like=unseen), n)
            request = Request(n, 0, asked, model.sampling(SamplingWish(self.folder)))
            return within(PREVIEW_SECONDS, walk(model, scaling, request, range(n))).state
        unseen = self.dataset.unseen
        if not isinstance(model.family, Autoencoder):
            return None
        batch = Examples(unseen, scaling, self.accelerator.device, self.conditions)(
            torch.arange(min(n, len(unseen)))
        )
        seen = decoded(model, codes(model, batch.examples, batch.condition), batch.condition)
        return scaling.to_data(seen.cpu()).numpy()

    def events(self, stop: StopRequest) -> Iterator[Event]:
        """Train, yielding what happens; the folder is whole at every moment."""
        writes = self.accelerator.is_main_process
        history = History(self.folder / LOG) if writes else None
        if history:
            # Only now: a budget that was refused must not be what the next one to resume goes by.
            self._keep_budget()
            history.resume(self.fit.done)
        for event in self.fit.run(self.budget, stop):
            self.averages(event)
            self._held_out(event)
            self._news.appendleft(event)
            if writes and self._save_due(event):
                self._save()
                self._news.append(Saved(self.fit.done))
            while self._news:
                news = self._news.popleft()
                if history:
                    history(news)
                yield news

    def _save_due(self, event: Event) -> bool:
        if isinstance(event, Ended):
            return True
        since = self.fit.done.seconds - self._saved_at
        return isinstance(event, Stepped) and since >= self.config.training.checkpoint_seconds

    def _save(self) -> None:
        tensors = {**self.fit.tensors(), **self.averages.tensors()}
        state = {"done": asdict(self.fit.done), "average": self.averages.chosen}
        save(self.folder / CHECKPOINT, Checkpoint(tensors, state))
        self._saved_at = self.fit.done.seconds


def begin_training(
    config: RunConfig,
    dataset: Dataset,
    folder: Path,
    budget: Budget,
    autoencoder: Run | None = None,
    encoder: Run | None = None,
) -> Training:
    """Return a new training, begun in `folder`.

    autoencoder: in whose codes the model lives, encoder: whose codes it is told, if `config` says so. Raises
    RunError for a folder that holds a run already or cannot be written, ConfigError, before anything is
    written, where the configuration's pieces do not go together.
    """
    build_model(config)
    for run, name in ((autoencoder, AUTOENCODER), (encoder, ENCODER)):
        if run is not None and accelerator().is_main_process:
            refuse_taken(folder)
            keep(run, folder / name)
    if autoencoder and config.latent and config.latent.principal and accelerator().is_main_process:
        keep_axes(autoencoder, dataset, config.latent.components, folder)
    if TEXT in config.conditions and accelerator().is_main_process:
        refuse_taken(folder)
        build("condition", config.conditions[TEXT], {}).keep(dataset, folder)
    accelerator().wait_for_everyone()
    training = Training(config, dataset, folder, budget)
    training.begin()
    return training


def refuse_taken(folder: Path) -> None:
    """Raise RunError for a folder that holds a run."""
    if (folder / CONFIG).exists() or is_cascade(folder):
        raise RunError(
            f"{folder} holds a run already: add --resume to go on with it, or choose another --out."
        )


def check_unchanged(folder: Path, wanted: RunConfig, dataset: Dataset) -> None:
    """Refuse to resume what is not the same run; raise RunError that names the first difference."""
    stored = read_config(folder / CONFIG)
    old, new = (config.model_dump(mode="json") for config in (stored, wanted))
    difference = first_difference(old, new)
    if difference:
        key, was, now = difference
        raise RunError(
            f"{folder} was trained with {key} = {was}, not {now}: resume it without changing its "
            "configuration, or train a new run with another --out."
        )
    if dataset.content_hash != stored.data.content_hash:
        raise RunError(
            f"the data at '{stored.data.source}' is not what {folder} was trained on: restore it, or train a "
            "new run with another --out."
        )


def first_difference(old: object, new: object, key: str = "") -> tuple[str, object, object] | None:
    """Return the dotted key at which two trees of plain values first differ, and both values."""
    if isinstance(old, dict) and isinstance(new, dict):
        for name in sorted(old.keys() | new.keys()):
            found = first_difference(old.get(name), new.get(name), f"{key}.{name}" if key else name)
            if found:
                return found
        return None
    return None if old == new else (key, old, new)

"""What `sfumato train` does: read the data, configure, train with everyone listening, write the report."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any

from rich.markup import escape

from sfumato.app.cli.train import DEFAULT_BUDGET
from sfumato.app.console import bar, clock, console, counted, note, output, speaks
from sfumato.app.previews import Previews
from sfumato.app.reporting import weights_of, write_run_report
from sfumato.app.training_bar import TrainingBar
from sfumato.data import Dataset, load_data
from sfumato.data.sources import names
from sfumato.errors import ConfigError, RunError
from sfumato.families.agreements import Autoencoder, Generator
from sfumato.nets.conditions import PICTURE
from sfumato.recipes import configure
from sfumato.runs.cascade.cascade import Cascade
from sfumato.runs.conditions.embedding import embedding_spec
from sfumato.runs.conditions.picture import PictureReader
from sfumato.runs.config import RunConfig, read_config
from sfumato.runs.fitting import Training, accelerator, begin_training, check_unchanged, part, refuse_taken
from sfumato.runs.latent import latent_config
from sfumato.runs.run import BUDGET, CHECKPOINT, CONFIG, REPORT, Run
from sfumato.train.budget import Budget
from sfumato.train.events import Ended, Subscriber
from sfumato.train.signals import stop_on_signal

NAMED_SKIPPED = 3


@dataclass(frozen=True)
class TrainingWish:
    """What the user asked for; None where they said nothing."""

    source: str | None
    out: Path | None
    recipe: str | None
    settings: tuple[str, ...]
    budget: str | None
    seed: int | None
    reading: dict[str, Any]
    latent: Path | None = None
    encoder: Path | None = None
    text_encoder: Path | None = None


def read_data(source: str, reading: Mapping[str, Any]) -> Dataset:
    """Load data with a progress bar, and say what was skipped; None in `reading` is the default."""
    said = {name: value for name, value in reading.items() if value is not None}
    with bar() as progress:
        dataset = load_data(source, **said, progress=counted(progress, escape(f"reading {source}")))
    if dataset.skipped:
        first = ", ".join(f"{item.name} ({item.reason})" for item in dataset.skipped[:NAMED_SKIPPED])
        note(f"{len(dataset.skipped)} skipped; the first: {first}")
    return dataset


def read_for(run: Run | Cascade, source: str | None) -> Dataset:
    """Read `source`, by default the run's own data, as examples of the run's shape.

    Pictures are cropped and shrunk as the run's own were. A note says where its own data has changed since.
    Raises ConfigError for examples that do not fit.
    """
    data = run.config.data
    form = {"channels": data.shape[0], "size": data.shape[1]} if source and len(data.shape) == 3 else {}
    dataset = read_data(source or data.source, {**data.reading, **form})
    if dataset.shape != data.shape:
        raise ConfigError(
            f"{run.folder} is about examples of shape {data.shape}, and {dataset.source} has {dataset.shape}."
        )
    if source is None and dataset.content_hash != data.content_hash:
        note(f"the data at '{data.source}' is not what {run.folder} was trained on: it has changed since")
    return dataset


def start_run(wish: TrainingWish) -> Run | None:
    """Train a new run; return it, or None if it was interrupted."""
    if wish.source is None:
        raise ConfigError(
            "say what to train on: a built-in name such as digits, a folder, an archive or an array."
        )
    budget = Budget.parse(wish.budget or DEFAULT_BUDGET)
    folder = wish.out or default_folder(wish.source)
    refuse_at_once(folder)
    dataset = read_data(wish.source, wish.reading)
    autoencoder, encoder = (
        Run.open(path, accelerator().device) if path else None for path in (wish.latent, wish.encoder)
    )
    latent = latent_config(autoencoder, dataset) if autoencoder else None
    told = embedding_spec(encoder, dataset) if encoder else None
    config = configure(
        dataset, wish.recipe, wish.seed or 0, wish.settings, budget, latent, told, wish.text_encoder
    )
    return carry_out(begin_training(config, dataset, folder, budget, autoencoder, encoder))


def refuse_at_once(folder: Path) -> None:
    """Refuse a folder that holds a run, before any time is spent.

    In a distributed run the first process looks: to a slower one the folder may hold this very run already.
    """
    if speaks:
        refuse_taken(folder)


def resume_run(wish: TrainingWish) -> Run | None:
    """Go on with a run; refuse one whose configuration or data is no longer the same."""
    folder = wish.out or (default_folder(wish.source) if wish.source else None)
    if folder is None:
        raise ConfigError("say which run to resume: --out RUN.")
    if wish.latent or wish.encoder or wish.text_encoder:
        raise ConfigError(
            "a run keeps the encoders it began with: resume it without --latent, --encoder, --text-encoder."
        )
    stored = read_config(folder / CONFIG)
    wanted = wanted_config(wish, stored)
    dataset = read_data(wish.source or stored.data.source, wanted.data.reading)
    check_unchanged(folder, wanted, dataset)
    budget = Budget.parse(wish.budget or stored_budget(folder))
    training = Training(stored, dataset, folder, budget)
    training.resume()
    if budget.progress(training.fit.done) >= 1:
        raise ConfigError(
            f"{folder} has used its budget ({training.fit.done.steps:,} steps, "
            f"{clock(training.fit.done.seconds)}): give a larger --budget to train it further."
        )
    return carry_out(training)


def wanted_config(wish: TrainingWish, stored: RunConfig) -> RunConfig:
    """Return the stored configuration with what the user said this time, to be compared with it."""
    reading = {name: value for name, value in wish.reading.items() if value is not None}
    said = {"recipe": wish.recipe, "seed": wish.seed, "data": stored.data.model_copy(update=reading)}
    changed = stored.model_copy(update={name: value for name, value in said.items() if value is not None})
    return changed.with_settings(wish.settings)


def default_folder(source: str) -> Path:
    """Return where a run on `source` goes if nothing is said."""
    return Path("runs") / names(source)[0]


def stored_budget(folder: Path) -> str:
    """Return the budget a run was started with."""
    try:
        return str(json.loads((folder / BUDGET).read_text())["budget"])
    except (OSError, ValueError, KeyError) as error:
        raise RunError(f"{folder} does not say its budget: give one with --budget.") from error


def carry_out(training: Training, whole: Path | None = None) -> Run | None:
    """Train with bar and previews, then write the report; return None if it was interrupted.

    whole: the folder of the cascade of which this is a stage, which is what goes on then.
    """
    folder, main = training.folder, training.accelerator.is_main_process
    introduce(training)
    end: Ended | None = None
    with stop_on_signal() as stop, TrainingBar(training.budget) as shown:
        listeners: list[Subscriber] = [shown, Previews(training)] if main else []
        for event in training.events(stop):
            for listener in listeners:
                listener(event)
            end = event if isinstance(event, Ended) else end
    part(training.accelerator)
    assert end is not None
    if end.interrupted_by:
        console.print(
            f"Stopped by {end.interrupted_by} and saved at step {end.done.steps:,}. Go on with:\n"
            f"  sfumato train --resume --out {whole or folder}"
        )
        return None
    return finish(training) if main else None


def introduce(training: Training) -> None:
    """Say what is about to be trained."""
    config, dataset = training.config, training.dataset
    count = sum(weights_of(player.module) for player in training.fit.players)
    shape = "×".join(str(side) for side in config.data.shape)
    classes = f", {len(dataset.classes)} classes" if dataset.classes else ""
    console.print(
        f"[bold]{escape(dataset.name)}[/]: {len(dataset.train):,} examples of {shape}{classes}, "
        f"{len(dataset.held_out):,} held out · recipe [bold]{config.recipe}[/], "
        f"{count / 1e6:.2f} million weights · budget {training.budget}, on {training.accelerator.device}"
    )
    for doubt in training.model.notes():
        note(doubt)


def finish(training: Training) -> Run:
    """Open the finished run and write its report."""
    run = Run.open(training.folder, training.accelerator.device)
    write_run_report(run, training.dataset)
    done = training.fit.done
    output.print(
        f"Trained {done.steps:,} steps ({done.images:,} images) in {clock(done.seconds)}.\n"
        f"  report   {training.folder / REPORT}\n"
        f"  weights  {training.folder / CHECKPOINT}\n"
        f"  {next_step(run)}"
    )
    return run


def next_step(run: Run) -> str:
    """Return what to type next."""
    given, folder = run.conditions.readers.get(PICTURE), quote(str(run.folder))
    if isinstance(given, PictureReader):
        return f"use      sfumato {given.verb} {folder} picture.png --out {given.result}.png"
    if isinstance(run.family, Generator):
        ending = "npz" if run.config.makes_codes else "png"
        return f"sample   sfumato sample {folder} -n 100 --out samples.{ending}"
    if isinstance(run.family, Autoencoder):
        return f"look     sfumato reconstruct {folder} --out pairs.png"
    return f"encode   sfumato encode {folder} {quote(run.config.data.source)} --out codes.npz"

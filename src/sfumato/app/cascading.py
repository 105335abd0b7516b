"""What `sfumato train` does for a recipe of several models: stage after stage, in folders of one folder."""

from functools import partial
from pathlib import Path
from shlex import quote

from rich.markup import escape

from sfumato.app.cli.train import DEFAULT_BUDGET
from sfumato.app.console import console, output
from sfumato.app.sampling import sample_to
from sfumato.app.scoring import one_process
from sfumato.app.training import (
    TrainingWish,
    carry_out,
    default_folder,
    read_data,
    refuse_at_once,
    resume_run,
    start_run,
)
from sfumato.errors import ConfigError
from sfumato.recipes.cascade_plan import CascadeWish, planned, taken_up
from sfumato.recipes.cascade_training import refuse_finished, stage_training, stages_left
from sfumato.recipes.cascades import CASCADES
from sfumato.runs.cascade.cascade import Cascade
from sfumato.runs.cascade.config import CASCADE, CascadeConfig, is_cascade, write_cascade

SHOWN = 16


def train_as_wished(wish: TrainingWish, resume: bool) -> None:
    """Train a new run or cascade, or go on with the one in its folder."""
    folder = wish.out or (default_folder(wish.source) if wish.source else None)
    if resume and folder is not None and is_cascade(folder):
        resume_cascade(wish, folder)
    elif resume:
        resume_run(wish)
    elif wish.recipe in CASCADES:
        start_cascade(wish)
    else:
        start_run(wish)


def start_cascade(wish: TrainingWish) -> None:
    """Train all stages of a new cascade; what is interrupted can be resumed."""
    one_process(f"train --recipe {wish.recipe}")
    if wish.source is None or wish.latent or wish.encoder:
        raise ConfigError(
            f"'{wish.recipe}' is trained on pictures: name them, and leave out --latent and --encoder."
        )
    folder = wish.out or default_folder(wish.source)
    refuse_at_once(folder)
    said = _said(wish, wish.budget or DEFAULT_BUDGET)
    plan = planned(said, read_data(wish.source, wish.reading), folder)
    write_cascade(folder, plan)
    _go_on(folder, plan, plan.source)


def resume_cascade(wish: TrainingWish, folder: Path) -> None:
    """Go on with a cascade where it stopped: finished stages are left as they are."""
    one_process("train --resume of several models")
    if wish.latent or wish.encoder or wish.text_encoder:
        raise ConfigError(
            "a cascade keeps the encoders it began with: resume it without --latent, --encoder and "
            "--text-encoder."
        )
    plan = taken_up(_said(wish, wish.budget), folder)
    refuse_finished(folder, plan)
    write_cascade(folder, plan)
    _go_on(folder, plan, wish.source or plan.source)


def _said(wish: TrainingWish, budget: str | None) -> CascadeWish:
    return CascadeWish(
        wish.recipe, wish.settings, budget, wish.seed, wish.reading, text_encoder=wish.text_encoder
    )


def _go_on(folder: Path, plan: CascadeConfig, source: str) -> None:
    """Train what is left of a cascade; source: where its data is now."""
    read = partial(read_data, source)
    for stage in stages_left(folder, plan):
        console.rule(f"[bold]{stage.name}[/]", align="left")
        if carry_out(stage_training(folder, plan, stage, read), folder) is None:
            return
    _show(Cascade.open(folder), folder, source)


def _show(cascade: Cascade, folder: Path, source: str) -> None:
    """Sample a few pictures, of held-out examples' words where there are any, and say what is next."""
    dataset = read_data(source, cascade.stages[0].config.data.reading)
    unseen = dataset.unseen
    sample_to(cascade, cascade.request(SHOWN, like=unseen), folder / "samples.png")
    prompt = f" --prompt {quote(unseen.captions[0])}" if unseen.captions else ""
    told = f"  {CASCADE}  {folder / CASCADE}\n  sample  sfumato sample {quote(str(folder))} -n 16{prompt}"
    output.print(escape(told))

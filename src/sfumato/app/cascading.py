"""What `sfumato train` does for a recipe of several models: stage after stage, in folders of one folder."""

from pathlib import Path
from shlex import quote

from rich.markup import escape

from sfumato.app.cascade_plan import configured, planned, share_of, taken_up
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
from sfumato.data import Dataset
from sfumato.errors import ConfigError, RunError
from sfumato.recipes.cascades import CASCADES, Stage
from sfumato.runs.cascade.cascade import Cascade
from sfumato.runs.cascade.config import CASCADE, CascadeConfig, is_cascade, write_cascade
from sfumato.runs.conditions.embedding import embedding_spec
from sfumato.runs.config import read_config
from sfumato.runs.fitting import Training, accelerator, begin_training
from sfumato.runs.latent import latent_config
from sfumato.runs.run import CHECKPOINT, CONFIG, Run, done_of
from sfumato.train.checkpoint import load

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
    if wish.source is None or wish.latent or wish.encoder or wish.text_encoder:
        raise ConfigError(
            f"'{wish.recipe}' is trained on pictures: name them, and leave out --latent, --encoder and "
            "--text-encoder."
        )
    folder = wish.out or default_folder(wish.source)
    refuse_at_once(folder)
    plan = planned(wish, read_data(wish.source, wish.reading), folder)
    write_cascade(folder, plan)
    _go_on(folder, plan, plan.source)


def resume_cascade(wish: TrainingWish, folder: Path) -> None:
    """Go on with a cascade where it stopped: finished stages are left as they are."""
    one_process("train --resume of several models")
    plan = taken_up(wish, folder)
    write_cascade(folder, plan)
    _go_on(folder, plan, wish.source or plan.source)


def _go_on(folder: Path, plan: CascadeConfig, source: str) -> None:
    for stage in CASCADES[plan.recipe]:
        if _is_done(folder, plan, stage):
            continue
        console.rule(f"[bold]{stage.name}[/]", align="left")
        if carry_out(_training(folder, plan, stage, source)) is None:
            console.print(f"The whole goes on by 'sfumato train --resume --out {folder}'.")
            return
    _show(Cascade.open(folder), folder, source)


def _is_done(folder: Path, plan: CascadeConfig, stage: Stage) -> bool:
    """Return whether a stage is left as it is: it has used its share, or another one has kept a copy of it.

    Were it trained further then, those that have begun and those to come would speak of different codes.
    """
    if not _has_begun(folder, stage):
        return False
    followers = [each for each in CASCADES[plan.recipe] if stage.name in (each.codes_of, each.told_by)]
    if any(_has_begun(folder, each) for each in followers):
        return True
    return share_of(plan, stage).progress(done_of(load(folder / stage.name / CHECKPOINT))) >= 1


def _has_begun(folder: Path, stage: Stage) -> bool:
    return (folder / stage.name / CONFIG).is_file()


def _training(folder: Path, plan: CascadeConfig, stage: Stage, source: str) -> Training:
    """Return the training of a stage, begun or taken up where it stopped; source: where its data is now."""
    place, budget = folder / stage.name, share_of(plan, stage)
    dataset = read_data(source, {**plan.reading, "size": plan.reading["size"] // stage.smaller})
    _check_data(folder, plan, stage, dataset)
    if _has_begun(folder, stage):
        training = Training(read_config(place / CONFIG), dataset, place, budget)
        training.resume()
        return training
    home, eyes = (_opened(folder, name) for name in (stage.codes_of, stage.told_by))
    latent = latent_config(home, dataset) if home else None
    told = embedding_spec(eyes, dataset) if eyes else None
    return begin_training(configured(plan, stage, dataset, latent, told), dataset, place, budget, home, eyes)


def _check_data(folder: Path, plan: CascadeConfig, stage: Stage, dataset: Dataset) -> None:
    """Raise RunError for other data than the whole, or a stage of the same size, was begun with."""
    fellows = [each for each in CASCADES[plan.recipe] if each.smaller == stage.smaller]
    begun = [folder / each.name / CONFIG for each in fellows if _has_begun(folder, each)]
    known = {read_config(file).data.content_hash for file in begun}
    if stage.smaller == 1 and plan.content_hash:
        known.add(plan.content_hash)
    if known - {dataset.content_hash}:
        raise RunError(
            f"the data at '{dataset.source}' is not what {folder} was begun with: restore it, or train a new "
            "one with another --out."
        )


def _opened(folder: Path, name: str | None) -> Run | None:
    """Return the stage that another one needs in training, if it needs any."""
    return None if name is None else Run.open(folder / name, accelerator().device)


def _show(cascade: Cascade, folder: Path, source: str) -> None:
    """Sample a few pictures, of held-out examples' words where there are any, and say what is next."""
    dataset = read_data(source, cascade.stages[0].config.data.reading)
    unseen = dataset.unseen
    sample_to(cascade, cascade.request(SHOWN, like=unseen), folder / "samples.png")
    prompt = f" --prompt {quote(unseen.captions[0])}" if unseen.captions else ""
    told = f"  {CASCADE}  {folder / CASCADE}\n  sample  sfumato sample {quote(str(folder))} -n 16{prompt}"
    output.print(escape(told))

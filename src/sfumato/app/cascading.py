"""What `sfumato train` does for a recipe of several models: stage after stage, in folders of one folder."""

from collections.abc import Iterator
from pathlib import Path

from sfumato.app.console import console, output
from sfumato.app.sampling import sample_to
from sfumato.app.training import (
    DEFAULT_BUDGET,
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
from sfumato.recipes import configure
from sfumato.recipes.cascades import CASCADES, Stage
from sfumato.runs.cascade.cascade import Cascade
from sfumato.runs.cascade.config import (
    CASCADE,
    CascadeConfig,
    StageConfig,
    is_cascade,
    read_cascade,
    write_cascade,
)
from sfumato.runs.conditions.embedding import embedding_spec
from sfumato.runs.config import read_config
from sfumato.runs.fitting import Training, accelerator, begin_training
from sfumato.runs.latent import latent_config
from sfumato.runs.run import CONFIG, Run
from sfumato.train.budget import Budget

SHOWN = 16


def train_as_wished(wish: TrainingWish, resume: bool) -> None:
    """Train a new run or cascade, or go on with the one in its folder."""
    if resume and wish.out is not None and is_cascade(wish.out):
        resume_cascade(wish, wish.out)
    elif resume:
        resume_run(wish)
    elif wish.recipe in CASCADES:
        start_cascade(wish)
    else:
        start_run(wish)


def start_cascade(wish: TrainingWish) -> None:
    """Train all stages of a new cascade; what is interrupted can be resumed."""
    if wish.source is None or wish.latent is not None:
        raise ConfigError(f"'{wish.recipe}' is trained on pictures: name them, and leave out --latent.")
    assert wish.recipe is not None
    folder = wish.out or default_folder(wish.source)
    refuse_at_once(folder)
    budget = Budget.parse(wish.budget or DEFAULT_BUDGET)
    stages = CASCADES[wish.recipe]
    _check_settings(wish.settings, stages)
    whole = read_data(wish.source, wish.reading)
    if not whole.is_pictures or whole.shape[1] != whole.shape[2]:
        raise ConfigError(f"'{wish.recipe}' is for square pictures, not for examples of shape {whole.shape}.")
    if accelerator().is_main_process:
        named = tuple(
            StageConfig(name=stage.name, gives=stage.gives, samples=stage.samples) for stage in stages
        )
        write_cascade(folder, CascadeConfig(recipe=wish.recipe, budget=str(budget), stages=named))
    _go_on(folder, wish, stages, budget, whole)


def resume_cascade(wish: TrainingWish, folder: Path) -> None:
    """Go on with a cascade where it stopped: finished stages are left as they are."""
    kept = read_cascade(folder)
    if wish.recipe not in (None, kept.recipe) or wish.settings or wish.latent:
        raise RunError(f"{folder} goes on as it began: resume it without --recipe, --set and --latent.")
    first = folder / kept.stages[0].name
    if wish.source is None and not (first / CONFIG).is_file():
        raise RunError(f"{folder} stopped before its first stage began: train it anew in another --out.")
    stages, budget = CASCADES[kept.recipe], Budget.parse(wish.budget or kept.budget)
    _go_on(folder, wish, stages, budget, None)


def _go_on(
    folder: Path, wish: TrainingWish, stages: tuple[Stage, ...], budget: Budget, whole: Dataset | None
) -> None:
    for stage, training in _trainings(folder, wish, stages, budget, whole):
        console.rule(f"[bold]{stage.name}[/]", align="left")
        if carry_out(training) is None:
            console.print(f"The whole goes on by 'sfumato train --resume --out {folder}'.")
            return
    if accelerator().is_main_process:
        _show(Cascade.open(folder), folder)


def _trainings(
    folder: Path, wish: TrainingWish, stages: tuple[Stage, ...], budget: Budget, whole: Dataset | None
) -> Iterator[tuple[Stage, Training]]:
    """Yield the trainings that are still to be done, each once the one before it has ended."""
    for stage in stages:
        place, limit = folder / stage.name, share_of(budget, stage.share)
        if (place / CONFIG).is_file():
            config = read_config(place / CONFIG)
            dataset = read_data(config.data.source, config.data.reading)
            training = Training(config, dataset, place, limit)
            training.resume()
            if budget_left(training):
                yield stage, training
            continue
        source, reading = _reading(folder, wish, stages, whole, stage)
        dataset = read_data(source, reading)
        settings = tuple(
            text.removeprefix(f"{stage.name}.") for text in wish.settings if text.startswith(f"{stage.name}.")
        )
        home, eyes = (_opened(folder, name) for name in (stage.codes_of, stage.told_by))
        latent = latent_config(home, dataset) if home else None
        told = embedding_spec(eyes, dataset) if eyes else None
        config = configure(dataset, stage.recipe, wish.seed or 0, settings, limit, latent, told)
        yield stage, begin_training(config, dataset, place, limit, home, eyes)


def _opened(folder: Path, name: str | None) -> Run | None:
    """Return the stage that another one needs in training, if it needs any."""
    return None if name is None else Run.open(folder / name, accelerator().device)


def _reading(
    folder: Path, wish: TrainingWish, stages: tuple[Stage, ...], whole: Dataset | None, stage: Stage
) -> tuple[str, dict[str, object]]:
    """Return what a stage is trained on, and how that is read: smaller by its factor."""
    if whole is not None:
        assert wish.source is not None
        return wish.source, {**wish.reading, "size": whole.shape[-1] // stage.smaller}
    first = read_config(folder / stages[0].name / CONFIG).data
    side = first.shape[-1] * stages[0].smaller
    return first.source, {**first.reading, "size": side // stage.smaller}


def _check_settings(settings: tuple[str, ...], stages: tuple[Stage, ...]) -> None:
    names = [stage.name for stage in stages]
    for text in settings:
        if text.split(".")[0] not in names:
            raise ConfigError(
                f"'{text}' does not say which stage it is for: begin it with one of "
                f"{', '.join(names)}, such as {names[0]}.training.batch=64."
            )


def share_of(budget: Budget, share: float) -> Budget:
    """Return a share of a budget: whole steps or images, or seconds."""
    amount = budget.amount * share
    return Budget(budget.of, amount if budget.of == "seconds" else max(1.0, float(round(amount))))


def budget_left(training: Training) -> bool:
    """Return whether a training has not used its budget."""
    return training.budget.progress(training.fit.done) < 1


def _show(cascade: Cascade, folder: Path) -> None:
    """Sample a few pictures, of held-out examples' words where there are any, and say what is next."""
    data = cascade.stages[0].config.data
    dataset = read_data(data.source, data.reading)
    unseen = dataset.held_out if len(dataset.held_out) else dataset.train
    sample_to(cascade, cascade.request(SHOWN, like=unseen), folder / "samples.png")
    prompt = f' --prompt "{unseen.captions[0]}"' if unseen.captions else ""
    output.print(f"  {CASCADE}  {folder / CASCADE}\n  sample  sfumato sample {folder} -n 16{prompt}")

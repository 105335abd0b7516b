"""What `sfumato train` does for a recipe of several models: stage after stage, in folders of one folder."""

from pathlib import Path
from shlex import quote

from rich.markup import escape

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
    if wish.source is None or wish.latent or wish.encoder:
        raise ConfigError(
            f"'{wish.recipe}' is trained on pictures: name them, and leave out --latent and --encoder."
        )
    folder = wish.out or default_folder(wish.source)
    refuse_at_once(folder)
    plan = _planned(wish, read_data(wish.source, wish.reading))
    if accelerator().is_main_process:
        write_cascade(folder, plan)
    accelerator().wait_for_everyone()
    _go_on(folder, plan, Budget.parse(plan.budget))


def _planned(wish: TrainingWish, whole: Dataset) -> CascadeConfig:
    """Return what a cascade on the pictures `whole` is to be; raise ConfigError for what cannot be one."""
    if not whole.is_pictures or whole.shape[1] != whole.shape[2]:
        raise ConfigError(f"'{wish.recipe}' is for square pictures, not for examples of shape {whole.shape}.")
    assert wish.recipe is not None
    stages = CASCADES[wish.recipe]
    _check_settings(wish.settings, stages)
    return CascadeConfig(
        recipe=wish.recipe,
        source=whole.source,
        reading={**whole.reading, "size": whole.shape[-1]},
        settings=wish.settings,
        seed=wish.seed or 0,
        budget=str(Budget.parse(wish.budget or DEFAULT_BUDGET)),
        stages=tuple(
            StageConfig(name=stage.name, gives=stage.gives, samples=stage.samples) for stage in stages
        ),
    )


def resume_cascade(wish: TrainingWish, folder: Path) -> None:
    """Go on with a cascade where it stopped: finished stages are left as they are."""
    plan = read_cascade(folder)
    said = (wish.source, wish.recipe, wish.settings, wish.seed, wish.latent, wish.encoder)
    if any(word not in (None, (), plan.source, plan.recipe) for word in said):
        raise RunError(
            f"{folder} goes on as it began: resume it with --out and, if you like, --budget alone."
        )
    _go_on(folder, plan, Budget.parse(wish.budget or plan.budget))


def _go_on(folder: Path, plan: CascadeConfig, budget: Budget) -> None:
    for stage in CASCADES[plan.recipe]:
        training = _training(folder, plan, stage, share_of(budget, stage.share))
        if training.budget.progress(training.fit.done) >= 1:
            continue
        console.rule(f"[bold]{stage.name}[/]", align="left")
        if carry_out(training) is None:
            console.print(f"The whole goes on by 'sfumato train --resume --out {folder}'.")
            return
    if accelerator().is_main_process:
        _show(Cascade.open(folder), folder)


def _training(folder: Path, plan: CascadeConfig, stage: Stage, budget: Budget) -> Training:
    """Return the training of a stage, begun or taken up where it stopped."""
    place = folder / stage.name
    if (place / CONFIG).is_file():
        config = read_config(place / CONFIG)
        training = Training(config, read_data(config.data.source, config.data.reading), place, budget)
        training.resume()
        return training
    dataset = read_data(plan.source, {**plan.reading, "size": plan.reading["size"] // stage.smaller})
    prefix = f"{stage.name}."
    settings = tuple(text.removeprefix(prefix) for text in plan.settings if text.startswith(prefix))
    home, eyes = (_opened(folder, name) for name in (stage.codes_of, stage.told_by))
    latent = latent_config(home, dataset) if home else None
    told = embedding_spec(eyes, dataset) if eyes else None
    config = configure(dataset, stage.recipe, plan.seed, settings, budget, latent, told)
    return begin_training(config, dataset, place, budget, home, eyes)


def _opened(folder: Path, name: str | None) -> Run | None:
    """Return the stage that another one needs in training, if it needs any."""
    return None if name is None else Run.open(folder / name, accelerator().device)


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


def _show(cascade: Cascade, folder: Path) -> None:
    """Sample a few pictures, of held-out examples' words where there are any, and say what is next."""
    data = cascade.stages[0].config.data
    dataset = read_data(data.source, data.reading)
    unseen = dataset.unseen
    sample_to(cascade, cascade.request(SHOWN, like=unseen), folder / "samples.png")
    prompt = f" --prompt {quote(unseen.captions[0])}" if unseen.captions else ""
    told = f"  {CASCADE}  {folder / CASCADE}\n  sample  sfumato sample {quote(str(folder))} -n 16{prompt}"
    output.print(escape(told))

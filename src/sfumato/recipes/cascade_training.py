"""Training a cascade: which of its stages are left to train, and the training of each in its turn.

The stages are trained one after another, each in a folder of the whole's folder, and a stage that needs
another's codes opens it when its turn comes. What was interrupted goes on at the stage where it stopped.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from sfumato.data import Dataset
from sfumato.errors import ConfigError, RunError
from sfumato.recipes.cascade_plan import configured, share_of
from sfumato.recipes.cascades import CASCADES, Stage
from sfumato.runs.cascade.config import CascadeConfig
from sfumato.runs.conditions.embedding import embedding_spec
from sfumato.runs.config import read_config
from sfumato.runs.fitting import Training, accelerator, begin_training
from sfumato.runs.latent import latent_config
from sfumato.runs.run import CHECKPOINT, CONFIG, Run, done_of
from sfumato.train.checkpoint import load

Read = Callable[[Mapping[str, Any]], Dataset]
"""From the arguments of `load_data` to the data of a cascade, in the size that they ask for."""


def stages_left(folder: Path, plan: CascadeConfig) -> Iterator[Stage]:
    """Yield the stages that have not used their share; each is to be trained before the next is asked for."""
    return (stage for stage in CASCADES[plan.recipe] if not _is_done(folder, plan, stage))


def sides(plan: CascadeConfig) -> set[int]:
    """Return the sizes in pixels a side in which the stages of a cascade need its data."""
    return {_side(plan, stage) for stage in CASCADES[plan.recipe]}


def refuse_finished(folder: Path, plan: CascadeConfig) -> None:
    """Raise ConfigError for a cascade of which no stage is left."""
    if next(stages_left(folder, plan), None) is None:
        raise ConfigError(
            f"{folder} has used its budget ({plan.budget} for all stages): give a larger --budget to train "
            "it further."
        )


def stage_training(folder: Path, plan: CascadeConfig, stage: Stage, read: Read) -> Training:
    """Return the training of a stage, begun or taken up where it stopped.

    Raises RunError for other data than the cascade was begun with.
    """
    place, budget = folder / stage.name, share_of(plan, stage)
    dataset = read({**plan.reading, "size": _side(plan, stage)})
    _check_data(folder, plan, stage, dataset)
    if _has_begun(folder, stage):
        training = Training(read_config(place / CONFIG), dataset, place, budget)
        training.resume()
        return training
    home, eyes = (_opened(folder, name) for name in (stage.codes_of, stage.told_by))
    latent = latent_config(home, dataset) if home else None
    told = embedding_spec(eyes, dataset) if eyes else None
    return begin_training(configured(plan, stage, dataset, latent, told), dataset, place, budget, home, eyes)


def _side(plan: CascadeConfig, stage: Stage) -> int:
    return int(plan.reading["size"]) // stage.smaller


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

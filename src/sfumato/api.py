"""Python as short as the command line: load data, train, distil, sample, walk from one example to another."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch

from sfumato.data import load_data
from sfumato.data.dataset import Dataset
from sfumato.errors import unknown
from sfumato.families.autoencoders.interpolation import Way, spherical, straight
from sfumato.recipes import configure
from sfumato.recipes.cascade_plan import CascadeWish, planned
from sfumato.recipes.cascade_training import sides, stage_training, stages_left
from sfumato.runs import opening
from sfumato.runs.cascade.cascade import Cascade
from sfumato.runs.cascade.config import write_cascade
from sfumato.runs.conditions.embedding import embedding_spec
from sfumato.runs.distilling import begin_distillation
from sfumato.runs.fitting import Training, begin_training, refuse_taken
from sfumato.runs.latent import latent_config
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
    latent: Run | None = None,
    encoder: Run | None = None,
    text_encoder: str | Path | None = None,
) -> Run:
    """Train a new run on `dataset` into the folder `out` and return it, ready to be sampled.

    recipe: one of `sfumato.recipes.RECIPES`, by default what suits the data; budget: such as "90s", "5m" or
    "2000steps"; settings: "key=value" over the recipe; listeners: called with every event of training;
    latent: an encoder's run, in whose codes to train; encoder: one whose codes the model is to be told;
    text_encoder: a folder in the hub's format, of what is to read captions; it is kept as it is.
    Raises a SfumatoError for anything the caller can put right.
    """
    limit = Budget.parse(budget)
    codes = latent_config(latent, dataset) if latent else None
    told = embedding_spec(encoder, dataset) if encoder else None
    config = configure(dataset, recipe, seed, tuple(settings), limit, codes, told, text_encoder)
    training = begin_training(config, dataset, Path(out), limit, latent, encoder)
    return _carried_out(training, listeners, Path(out))


def _carried_out(training: Training, listeners: Iterable[Subscriber], whole: Path) -> Run:
    """Train to the end of the budget; whole: the folder by which an interrupted training is resumed."""
    heard = tuple(listeners)
    with stop_on_signal() as stop:
        for event in training.events(stop):
            for listener in heard:
                listener(event)
    if stop:
        # Saved by now. A program that is asked to stop must not go on with half a training.
        raise KeyboardInterrupt(f"stopped by {stop.name}: {whole} is saved and can be resumed")
    return Run.open(training.folder)


def fit_cascade(
    dataset: Dataset,
    out: str | Path,
    recipe: str,
    budget: str = "20m",
    seed: int = 0,
    settings: Iterable[str] = (),
    listeners: Iterable[Subscriber] = (),
    text_encoder: str | Path | None = None,
) -> Cascade:
    """Train a new cascade, several models in the one folder `out`, and return it, ready to be sampled.

    dataset: as `load_data` read it, in the size of the last stage; it is read again for smaller stages.
    recipe: one of `sfumato.recipes.cascades.CASCADES`; budget: of all stages together; settings:
    "stage.key=value" over their recipes; listeners: called with every event of every stage; text_encoder: as
    for `fit`, for the stage that sampling begins with.
    Raises a SfumatoError for anything the caller can put right.
    """
    folder = Path(out)
    refuse_taken(folder)
    wish = CascadeWish(recipe, tuple(settings), budget, seed, text_encoder=text_encoder)
    plan = planned(wish, dataset, folder)
    data = {dataset.shape[-1]: dataset}
    for side in sides(plan) - data.keys():
        data[side] = load_data(dataset.source, **{**plan.reading, "size": side})
    write_cascade(folder, plan)
    heard = tuple(listeners)
    for stage in stages_left(folder, plan):
        training = stage_training(folder, plan, stage, lambda reading: data[reading["size"]])
        _carried_out(training, heard, folder)
    return Cascade.open(folder)


def distill(
    teacher: Run,
    out: str | Path,
    budget: str = "5m",
    steps: int = 1,
    seed: int = 0,
    settings: Iterable[str] = (),
    listeners: Iterable[Subscriber] = (),
    guidance: float | None = None,
) -> Run:
    """Distil `teacher` into a run of `steps` evaluations an image in the folder `out`, and return it.

    The teacher's data is read again for what the model is told of it. guidance: the weight by which the
    teacher is guided, by default what suits the budget: more is clearer and less varied. Arguments and errors
    otherwise as for `fit`.
    """
    limit, chosen = Budget.parse(budget), tuple(settings)
    training = begin_distillation(teacher, Path(out), limit, steps, seed, chosen, guidance=guidance)
    return _carried_out(training, listeners, Path(out))


def open_run(folder: str | Path) -> Run:
    """Open a run folder, ready to be sampled; `open_cascade` opens a folder of several."""
    return Run.open(folder)


def open_cascade(folder: str | Path) -> Cascade:
    """Open a folder of several models, ready to be sampled as a run is."""
    return opening.open_cascade(folder)


WAYS: dict[str, Way] = {"latent": straight, "spherical": spherical}
"""Ways from one code to another, by name."""
PIXELS = "pixels"
"""The way that asks no model: the average of the examples themselves."""


def interpolate(run: Run, a: np.ndarray, b: np.ndarray, steps: int = 11, way: str = "latent") -> np.ndarray:
    """Return `steps` examples on the way from `a` to `b`, both as the data is: uint8 (C, H, W) or float (D,).

    way: "latent" decodes the straight way between their codes, "spherical" the arc; "pixels" averages them.
    Raises ConfigError for another way, and for a run that has no codes or no way back from them.
    """
    shares = torch.linspace(0, 1, steps)
    if way == PIXELS:
        first, last = (torch.from_numpy(np.asarray(end, np.float32)) for end in (a, b))
        path = straight(first, last, shares).numpy()
        return path if np.issubdtype(a.dtype, np.floating) else path.round().astype(a.dtype)
    if way not in WAYS:
        raise unknown("way of interpolating", way, (*WAYS, PIXELS))
    codes = torch.from_numpy(run.encode(np.stack([a, b])))
    return run.decode(WAYS[way](codes[0], codes[1], shares).numpy())

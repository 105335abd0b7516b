"""What a cascade is to be: tried out before any time is spent, and kept when it is taken up again."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from sfumato.data import Dataset
from sfumato.data.store import MemoryStore
from sfumato.errors import ConfigError, RunError, unknown
from sfumato.families.agreements import Generator
from sfumato.recipes import configure
from sfumato.recipes.cascades import CASCADES, Stage
from sfumato.runs.agreements import Model, SamplingWish
from sfumato.runs.cascade.config import CascadeConfig, StageConfig, read_cascade
from sfumato.runs.conditions.picture import averaged
from sfumato.runs.config import LatentConfig, RunConfig
from sfumato.runs.fitting import first_difference
from sfumato.runs.latent import sketched
from sfumato.runs.model import build_model
from sfumato.train.budget import Budget

TRIED_ON = 64
"""Examples that a stage is tried out on."""
WIDTH = 64
"""Numbers in the code that stands for an encoder's which is not trained yet."""
TOLD: dict[str, object] = {"name": "embedding", "width": WIDTH}


@dataclass(frozen=True)
class CascadeWish:
    """What a person says of a cascade; None or nothing where they say nothing.

    recipe: one of `CASCADES`; settings: "stage.key=value" over the stages' recipes; budget: of all stages
    together; reading: of its data; text_encoder: the folder of what reads captions where sampling begins. A
    new one needs a recipe and a budget.
    """

    recipe: str | None = None
    settings: tuple[str, ...] = ()
    budget: str | None = None
    seed: int | None = None
    reading: Mapping[str, Any] = field(default_factory=dict)
    text_encoder: str | Path | None = None


def planned(wish: CascadeWish, whole: Dataset, folder: Path) -> CascadeConfig:
    """Return what a cascade on the pictures `whole` is to be.

    folder: where it is to be trained. Raises ConfigError for what cannot be one, whichever stage it is of.
    """
    if wish.recipe not in CASCADES:
        raise unknown("recipe of several models", str(wish.recipe), CASCADES)
    if not whole.is_pictures or whole.shape[1] != whole.shape[2]:
        raise ConfigError(f"'{wish.recipe}' is for square pictures, not for examples of shape {whole.shape}.")
    stages = CASCADES[wish.recipe]
    _check_settings(wish.settings, stages)
    plan = CascadeConfig(
        recipe=wish.recipe,
        source=whole.source,
        reading={**whole.reading, "size": whole.shape[-1]},
        content_hash=whole.content_hash,
        settings=wish.settings,
        seed=wish.seed or 0,
        budget=str(Budget.parse(wish.budget or "")),
        stages=tuple(
            StageConfig(name=stage.name, gives=stage.gives, samples=stage.samples) for stage in stages
        ),
        text_encoder=None if wish.text_encoder is None else str(wish.text_encoder),
    )
    # The last stage has most to ask of the pictures' size, and the others' follows from it.
    for stage in reversed(stages):
        _try_out(plan, stage, whole, folder / stage.name)
    return plan


def taken_up(wish: CascadeWish, folder: Path) -> CascadeConfig:
    """Return what the cascade in `folder` is, with the budget that is wished for it now.

    What is said again must be what was said before: raises RunError that names the first difference.
    """
    plan = read_cascade(folder)
    # The reading of data has a seed too, which is not the one that is said.
    old = {**plan.reading, "recipe": plan.recipe, "seed": plan.seed, **_by_key(plan.settings)}
    said = {**wish.reading, "recipe": wish.recipe, "seed": wish.seed}
    again = {key: value for key, value in said.items() if value is not None}
    difference = first_difference(old, {**old, **again, **_by_key(wish.settings)})
    if difference:
        key, was, now = difference
        raise RunError(
            f"{folder} was begun with {key} = {was}, not {now}: resume it without changing what it is, or "
            "train a new one with another --out."
        )
    return plan.model_copy(update={"budget": str(Budget.parse(wish.budget or plan.budget))})


def configured(
    plan: CascadeConfig,
    stage: Stage,
    dataset: Dataset,
    latent: LatentConfig | None,
    told: dict[str, object] | None,
) -> RunConfig:
    """Return the configuration of a stage on `dataset`, in its size; latent, told: as for `configure`."""
    prefix = f"{stage.name}."
    settings = tuple(text.removeprefix(prefix) for text in plan.settings if text.startswith(prefix))
    # What a person asks for is read where sampling begins; the stages behind it see what was made of that.
    first = next(each for each in CASCADES[plan.recipe] if each.samples)
    reads = plan.text_encoder if stage.name == first.name else None
    return configure(dataset, stage.recipe, plan.seed, settings, share_of(plan, stage), latent, told, reads)


def share_of(plan: CascadeConfig, stage: Stage) -> Budget:
    """Return a stage's share of the budget: whole steps or images, or seconds."""
    budget = Budget.parse(plan.budget)
    amount = budget.amount * stage.share
    return Budget(budget.of, amount if budget.of == "seconds" else max(1.0, float(round(amount))))


def _try_out(plan: CascadeConfig, stage: Stage, whole: Dataset, place: Path) -> None:
    """Configure and build a stage as it will be; raise ConfigError for what would be refused then."""
    latent = _codes(plan, stage.codes_of, whole) if stage.codes_of else None
    model = _built(plan, stage, whole, latent)
    with _blamed(stage):
        model.refuse_idle()
        if isinstance(model.family, Generator):
            model.sampling(SamplingWish(place))


def _built(plan: CascadeConfig, stage: Stage, whole: Dataset, latent: LatentConfig | None) -> Model:
    some = _sketch(whole, whole.shape[-1] // stage.smaller)
    with _blamed(stage):
        return build_model(configured(plan, stage, some, latent, TOLD if stage.told_by else None))


@contextmanager
def _blamed(stage: Stage) -> Iterator[None]:
    """Say of what is refused which stage it is of."""
    try:
        yield
    except ConfigError as error:
        raise ConfigError(f"stage '{stage.name}': {error}") from error


def _codes(plan: CascadeConfig, name: str, whole: Dataset) -> LatentConfig:
    """Return what stands for the codes of the stage `name`, which is not trained yet."""
    home = next(stage for stage in CASCADES[plan.recipe] if stage.name == name)
    return sketched(_built(plan, home, whole, None).family, WIDTH)


def _sketch(whole: Dataset, side: int) -> Dataset:
    """Return a few of the pictures, of about `side` pixels a side, with all that is known of them."""
    places = torch.arange(min(TRIED_ON, len(whole.train)))
    some = whole.train.select(places)
    small = replace(some, store=MemoryStore(averaged(whole.train.batch(places)[0], side)))
    return replace(whole, train=small, held_out=small)


def _by_key(settings: tuple[str, ...]) -> dict[str, str]:
    return {key: value for key, _, value in (text.partition("=") for text in settings)}


def _check_settings(settings: tuple[str, ...], stages: tuple[Stage, ...]) -> None:
    names = [stage.name for stage in stages]
    for text in settings:
        if text.split(".")[0] not in names:
            raise ConfigError(
                f"'{text}' does not say which stage it is for: begin it with one of "
                f"{', '.join(names)}, such as {names[0]}.training.batch=64."
            )

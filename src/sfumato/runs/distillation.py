"""Distilled runs: how they are configured, and where their teacher is kept.

A distilled run is a run folder like any other, whose configuration says besides of whom it was distilled and
at which noise levels it is asked. The teacher's weights are kept in it, so that it can be resumed without the
teacher's folder; they are needed for nothing else.
"""

import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from sfumato.diffusion.guidance import ALWAYS, OFF
from sfumato.diffusion.objective import DenoisingLoss
from sfumato.diffusion.schedules import time_of_log_snr
from sfumato.errors import ConfigError
from sfumato.families.agreements import Trainable
from sfumato.families.diffusion import Diffusion
from sfumato.families.distillation import Distillation
from sfumato.runs.build import build_context, build_diffusion, guidable, require_guidable
from sfumato.runs.config import DiffusionConfig, parse_config
from sfumato.train.budget import Budget
from sfumato.train.checkpoint import Checkpoint, load, load_into, save
from sfumato.train.comparable import comparable_seconds

if TYPE_CHECKING:
    from sfumato.runs.run import Run

TEACHER = "teacher.safetensors"
LATER_RATIOS = {1: (), 2: (1.5,), 3: (3.0, 0.75), 4: (5.0, 1.5, 0.5)}
"""Noise over the data's own deviation at the steps after the first, by the number of steps."""
CLEARER = ((120.0, 1.2), (400.0, 1.1), (math.inf, 1.0))
"""The teacher's guidance in distillation over the one that it is sampled with, for trainings below so many
`comparable_seconds`; where only steps are known, that of a short one. What a student leaves unclear for want
of steps it makes up for, and what it has learned too much of it takes away (docs/speed.md)."""
SMALL = 12 * 12
"""Up to so many numbers a picture leaves nothing unclear, and none is best however short it is distilled."""
PACE = 5e-4
"""The student's learning rate: its own samples are its data, so it must not run ahead of its critic."""
FLAT = 0.5
"""The share of training at that rate: the game has to be played before it is settled by small steps."""
MOMENTUM = 0.5
"""Gradients of some steps ago were those of another student and another critic."""


def distilled_config(
    teacher: "Run",
    steps: int,
    seed: int,
    settings: tuple[str, ...] = (),
    budget: Budget | None = None,
    guidance: float | None = None,
) -> DiffusionConfig:
    """Return the configuration of a generator of `steps` steps distilled from `teacher`.

    settings: "key=value" texts applied over it; guidance: the teacher's weight of guidance, which goes by
    how long the training is, `budget`, where it is not given. Raises ConfigError for a number of steps that
    is not offered, for a teacher that is distilled itself or has learned a variance, and for guidance of one
    that has nothing to be guided by.
    """
    config = teacher.diffusion.config
    _refuse(config, teacher.folder, steps)
    schedule = teacher.diffusion.family.denoiser.schedule
    ratios = torch.tensor(LATER_RATIOS[steps], dtype=torch.float64) * config.data.std
    at = (1.0, *time_of_log_snr(schedule, -2 * ratios.log()).tolist())
    tree = config.model_dump(mode="json")
    tree |= {
        "recipe": "distilled",
        "seed": seed,
        "objective": {"name": "denoising"},
        "optimiser": {"name": "adamw", "weight_decay": 0.0, "momentum": MOMENTUM},
        "distilled": {"teacher": str(teacher.folder), "guidance": _guidance(config, budget, guidance)},
        "training": {
            **tree["training"],
            "learning_rate": PACE,
            "flat": FLAT,
            "warmup": 20,
            "condition_drop": 0.0,
        },
        "sampling": {
            **tree["sampling"],
            "sampler": "renoise",
            "grid": {"name": "fitted", "at": [*at, 0.0]},
            "steps": steps,
            "guidance": OFF,
            "guidance_interval": ALWAYS,
        },
    }
    student = parse_config(tree).with_settings(settings)
    assert isinstance(student, DiffusionConfig)
    return student


def _refuse(config: DiffusionConfig, folder: Path, steps: int) -> None:
    if steps not in LATER_RATIOS:
        raise ConfigError(
            f"a run is distilled to {min(LATER_RATIOS)} to {max(LATER_RATIOS)} steps, not {steps}."
        )
    if config.distilled is not None:
        raise ConfigError(f"{folder} is distilled already: distil the run it was made from.")
    if config.variance["name"] == "learned":
        raise ConfigError("a run with a learned variance cannot be distilled: train one with variance=small.")


def _guidance(config: DiffusionConfig, budget: Budget | None, asked: float | None) -> float:
    """Return the weight of the teacher's guidance: as asked, or above what it is sampled with by itself.

    Estimates of unclear pictures add up to unclear samples where there is but one step to make them.
    """
    weight = config.sampling.guidance if asked is None else asked
    if isinstance(weight, dict):
        raise ConfigError(
            "a run that is guided by each condition with its own weight needs one for all to be distilled: "
            f"give it by --guidance, such as {max(weight.values()):g}."
        )
    if weight != OFF:
        require_guidable(config, weight)
    if asked is not None or not guidable(config) or math.prod(config.shape) <= SMALL:
        return weight
    return weight * next(factor for seconds, factor in CLEARER if comparable_seconds(budget) < seconds)


def keep_teacher(teacher: "Run", folder: Path) -> None:
    """Write the averaged weights that `folder` is to be distilled from."""
    folder.mkdir(parents=True, exist_ok=True)
    save(
        folder / TEACHER,
        Checkpoint(teacher.diffusion.family.module.state_dict(), {"done": teacher.done.steps}),
    )


def build_trainee(config: DiffusionConfig, family: Diffusion, folder: Path) -> Trainable:
    """Return what a training moves: the family itself, or the game in which it is distilled."""
    if config.distilled is None:
        return family
    device = next(family.module.parameters()).device
    weights = load(folder / TEACHER).tensors
    teacher, critic = build_diffusion(config), build_diffusion(config)
    for copy in (teacher, critic, family):
        copy.module.to(device)
        load_into(copy.module, weights, "teacher's weights")
    teacher.module.requires_grad_(False)
    return Distillation(
        student=family,
        critic=critic,
        teacher=replace(teacher, conditioning=replace(teacher.conditioning, drop=0.0)),
        objective=DenoisingLoss(build_context(config)["weighting"]),
        at=tuple(config.sampling.grid["at"][:-1]),
        guidance=config.distilled.guidance,
    )

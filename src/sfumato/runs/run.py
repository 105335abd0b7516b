"""A run folder, opened: all it takes to sample a trained model.

RUN/config.json             what the run is, readable
RUN/checkpoint.safetensors  weights, their averages, the optimiser's state, counters: one atomic file
RUN/data.json               what was found in the data, skipped files included
RUN/log.jsonl               losses and speeds over time
RUN/budget.json             how long it is to be trained
RUN/grids.json              grids fitted to it, if any
RUN/report.html             the page about it
RUN/teacher.safetensors     whom it was distilled from, where it was (`runs.distillation`)
RUN/classifier.safetensors  a classifier of noisy examples, where one was trained (`runs.classifier`)
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sfumato.errors import ConfigError, RunError
from sfumato.families.diffusion import Guide
from sfumato.runs.build import build_family, build_sampling, build_scaling, frozen
from sfumato.runs.config import RunConfig, parse_config, read_config
from sfumato.runs.grids import with_fitted_grid
from sfumato.runs.sampling import Chunk, Request, label_indices, walk
from sfumato.train.averaging import load_average
from sfumato.train.budget import Done
from sfumato.train.checkpoint import Checkpoint, load
from sfumato.train.device import best_device
from sfumato.train.history import read_history

CONFIG, CHECKPOINT, LOG, DATA, BUDGET, REPORT = (
    "config.json",
    "checkpoint.safetensors",
    "log.jsonl",
    "data.json",
    "budget.json",
    "report.html",
)
CHUNK = 128
"""Images sampled at a time: twice as many or half take longer for each (docs/speed.md)."""


class Run:
    """A trained model with its averaged weights, ready to be sampled.

    folder: where it was read from; config: what it is; average: which average of the weights it has.
    """

    def __init__(
        self,
        folder: Path,
        config: RunConfig,
        checkpoint: Checkpoint,
        device: torch.device,
        average: str | None = None,
    ) -> None:
        self.folder, self.config, self.device = folder, config, device
        self.done = done_of(checkpoint)
        self.average = average or chosen_average(checkpoint)
        family = build_family(config)
        player = family.players()[0]
        load_average(player.module, checkpoint.tensors, player.name, self.average)
        self.family = frozen(family, player.module.to(device), config.precision)
        self.scaling = build_scaling(config)

    @classmethod
    def open(
        cls, folder: str | Path, device: torch.device | str | None = None, average: str | None = None
    ) -> "Run":
        """Open a run folder; raise RunError if it is none or is damaged, ConfigError for an unknown average.

        device: where to sample, by default the accelerator if there is one; average: one of
        `train.averaging.WIDTHS`, by default the one that training chose.
        """
        path = Path(folder)
        if not path.is_dir():
            raise RunError(
                f"there is no run folder '{folder}': 'sfumato train DATA --out {folder}' makes one."
            )
        config = read_config(path / CONFIG)
        return cls(path, config, load(path / CHECKPOINT), torch.device(device or best_device()), average)

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes, () for an unlabelled model."""
        return self.config.data.classes

    @property
    def history(self) -> list[dict[str, float]]:
        """The rows of the log."""
        return read_history(self.folder / LOG)

    def request(
        self,
        n: int,
        labels: Sequence[str | int] | None = None,
        seed: int = 0,
        guides: Sequence[Guide] = (),
        known: Sequence[Guide] = (),
        **options: Any,
    ) -> Request:
        """Describe what to sample; raise ConfigError for what this model cannot do.

        labels: class names or numbers, cycled through; seed: of the first image, the next has the next;
        guides, known: see `runs.guides` and `SamplingOptions`; options: `sampler`, `grid`, `steps`,
        `threshold`, `guidance` and `guidance_interval`, where they should differ from the run's own.
        """
        given = {name: value for name, value in options.items() if value is not None}
        steps = self.config.sampling.steps
        if self.config.distilled is not None and given.get("steps", steps) != steps:
            raise ConfigError(
                f"{self.folder} is distilled to {steps} step{'s' * (steps > 1)}: sample it without --steps, "
                f"or distil another by 'sfumato distill {self.config.distilled.teacher} --steps N'."
            )
        tree = self.config.model_dump(mode="json")
        settings = with_fitted_grid(self.folder, {**tree["sampling"], **given}, self.done.steps)
        config = parse_config({**tree, "sampling": settings})
        chosen = label_indices(labels, self.classes, n)
        sampling = replace(build_sampling(config, self.family), guides=tuple(guides), known=tuple(known))
        self.family.guided(sampling)  # refuses a guide that does not fit, before anything is sampled
        return Request(n, seed, chosen, sampling)

    def walk(self, request: Request, places: range) -> Iterator[Chunk]:
        """Yield the moments of sampling the images at `places` of a request."""
        return walk(self.family, self.scaling, self.config.data.shape, request, places)

    def sample(
        self, n: int = 16, labels: Sequence[str | int] | None = None, seed: int = 0, **options: Any
    ) -> np.ndarray:
        """Return `n` new examples: uint8 (n, C, H, W) pictures or float32 (n, D) vectors.

        Arguments as for `request`.
        """
        request = self.request(n, labels, seed, **options)
        parts = []
        for places in request.chunks(CHUNK):
            (last,) = deque(self.walk(request, places), maxlen=1)  # moments are not kept, as a list would
            parts.append(last.state)
        return np.concatenate(parts)


def done_of(checkpoint: Checkpoint) -> Done:
    """Return the counters of a checkpoint."""
    return Done(**checkpoint.state["done"])


def chosen_average(checkpoint: Checkpoint) -> str:
    """Return the name of the average of a checkpoint's weights that is to be sampled."""
    return str(checkpoint.state["average"])

"""Sampling a trained model: any number of images, in bounded memory, each from its own seed.

Image i of a request has the seed `seed + i` and, unless labels are named, the class i modulo their number:
so `-n 1 --seed 7 --label 7` makes again what stood at place 7 of `--seed 0`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sfumato.condition import Condition
from sfumato.data.scaling import Scaling
from sfumato.diffusion.later import deferring, later
from sfumato.families.agreements import Moment
from sfumato.nets.embedding import LABEL
from sfumato.randomness import SeededNoise
from sfumato.runs.agreements import Model, device_of


@dataclass(frozen=True)
class Request:
    """What to sample: `n` images from `seed` on.

    condition: of the n images, or None for a model that is told nothing; options: what the model's `sampling`
    returned; prompts: the texts that were asked for, image by image, () without any.
    """

    n: int
    seed: int
    condition: Condition | None
    options: Any
    prompts: tuple[str, ...] = ()

    @property
    def labels(self) -> Tensor | None:
        """The labels asked for: int64 (n,), or None for an unlabelled model."""
        return None if self.condition is None else self.condition.values.get(LABEL)

    def part(self, places: range) -> "Request":
        """Return the request of the images at `places` alone."""
        chosen = slice(places.start, places.stop)
        told = self.condition and self.condition[chosen]
        return replace(
            self, n=len(places), seed=self.seed + places.start, condition=told, prompts=self.prompts[chosen]
        )

    def conditions(self, places: range, device: torch.device) -> Condition | None:
        """Return the condition of the images at `places`."""
        return self.condition and self.condition[places.start : places.stop].to(device)

    def chunks(self, size: int) -> list[range]:
        """Return the places of the images, in runs of at most `size`."""
        return [range(start, min(start + size, self.n)) for start in range(0, self.n, size)]


@deferring("state", "guess")
@dataclass(frozen=True)
class Chunk:
    """A moment of a chunk of a request: the images at `places`, as the data is.

    moment: where the walk stands; state and guess: uint8 (B, C, H, W) or float32 (B, D) on the CPU, made when
    first read, because of most moments nobody looks at them.
    """

    places: range
    moment: Moment
    state: np.ndarray
    guess: np.ndarray

    @property
    def finished(self) -> bool:
        """Whether `state` is the result."""
        return self.moment.index == self.moment.steps


def walk(model: Model, scaling: Scaling, request: Request, places: range) -> Iterator[Chunk]:
    """Yield the moments of sampling the images at `places` of a request."""
    device = device_of(model)
    noise = SeededNoise([request.seed + place for place in places])
    condition = request.conditions(places, device)
    for moment in model.frames((len(places), *model.config.shape), noise, condition, request.options):
        state, guess = (later(partial(_as_data, scaling, moment, name)) for name in ("state", "guess"))
        yield Chunk(places, moment, state, guess)


def _as_data(scaling: Scaling, moment: Moment, name: str) -> np.ndarray:
    return scaling.to_data(getattr(moment, name).cpu()).numpy()

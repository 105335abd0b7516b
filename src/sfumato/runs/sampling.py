"""Sampling a trained model: any number of images, in bounded memory, each from its own seed.

Image i of a request has the seed `seed + i` and, unless labels are named, the class i modulo their number:
so `-n 1 --seed 7 --label 7` makes again what stood at place 7 of `--seed 0`.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from time import perf_counter
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from sfumato.condition import Condition
from sfumato.data.scaling import Scaling
from sfumato.diffusion.later import deferring, later
from sfumato.families.agreements import Moment
from sfumato.nets.conditions import TEXT
from sfumato.nets.embedding import LABEL
from sfumato.randomness import SeededNoise
from sfumato.runs.agreements import Model, device_of

Said = Mapping[str, tuple[Any, ...]]
"""What was said of images, by the name of a condition: a word, a text, a picture for each."""


@dataclass(frozen=True)
class Request:
    """What to sample: `n` images from `seed` on.

    condition: of the n images, or None for a model that is told nothing; options: what the model's `sampling`
    returned; said, away: by the name of a condition, what was asked for and what guidance leads away from, as
    it was said, image by image; steady: whether all images have the noise of the first; over: what is laid
    over pictures, such as a part of one that is kept.
    """

    n: int
    seed: int
    condition: Condition | None
    options: Any
    said: Said = field(default_factory=dict)
    away: Said = field(default_factory=dict)
    steady: bool = False
    over: Callable[[np.ndarray], np.ndarray] | None = None

    @property
    def prompts(self) -> tuple[str, ...]:
        """The texts asked for, image by image, () without any."""
        return self.said.get(TEXT, ())

    @property
    def labels(self) -> Tensor | None:
        """The labels asked for: int64 (n,), or None where the images are asked for without."""
        told = self.condition
        if told is None or LABEL not in told.values or bool(told.dropped[LABEL].any()):
            return None
        return told.values[LABEL]

    def seeds(self, places: range) -> list[int]:
        """Return the seeds of the images at `places`."""
        return [self.seed if self.steady else self.seed + place for place in places]

    def part(self, places: range) -> "Request":
        """Return the request of the images at `places` alone."""
        chosen = slice(places.start, places.stop)
        return replace(
            self,
            n=len(places),
            seed=self.seeds(places)[0],
            condition=self.condition and self.condition[chosen],
            said={name: values[chosen] for name, values in self.said.items()},
            away={name: values[chosen] for name, values in self.away.items()},
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
    noise = SeededNoise(request.seeds(places))
    condition = request.conditions(places, device)
    for moment in model.frames((len(places), *model.config.shape), noise, condition, request.options):
        state, guess = (
            later(partial(_as_data, scaling, moment, name, request.over)) for name in ("state", "guess")
        )
        yield Chunk(places, moment, state, guess)


class Sampled(Protocol):
    """What can be walked from a request to its images: a run, or a cascade of them."""

    def walk(self, request: Request, places: range) -> Iterator[Chunk]:
        """Yield the moments of sampling the images at `places` of a request."""
        ...


def sample_whole(sampled: Sampled, request: Request, size: int) -> np.ndarray:
    """Return all images of a request, in chunks of `size`: (n, ...)."""
    parts = []
    for places in request.chunks(size):
        (last,) = deque(sampled.walk(request, places), maxlen=1)  # moments are not kept, as a list would
        parts.append(last.state)
    return np.concatenate(parts)


def within(seconds: float, moments: Iterator[Chunk]) -> Chunk:
    """Return the last moment there is within so many seconds, at least the first two."""
    end = perf_counter() + seconds
    found = next(moments)
    for moment in moments:
        found = moment
        if perf_counter() > end:
            break
    return found


def _as_data(
    scaling: Scaling, moment: Moment, name: str, over: Callable[[np.ndarray], np.ndarray] | None
) -> np.ndarray:
    made = scaling.to_data(getattr(moment, name).cpu()).numpy()
    return made if over is None else over(made)

"""A cascade, opened: it is sampled as a run is.

What a stage makes is a condition of those after it: a small picture of the one that makes it larger (Ho et
al. 2022, "Cascaded diffusion models"; Nichol et al. 2022, "GLIDE"), an image embedding of the one that draws
it (Ramesh et al. 2022, "DALL·E 2"). All stages are asked for the same words. Image i of stage k draws its
noise from the seed of image i plus k·2^40, so that no stage sees the noise of another.

How to sample is said of the first stage that draws. Guidance of the embedding to be drawn makes pictures
clearer; that of the words it is made of leads it away from all embeddings of pictures, where it is strong
(benchmarks/dalle_guidance.py).
"""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from sfumato.data.dataset import Split
from sfumato.diffusion.later import later
from sfumato.errors import ConfigError
from sfumato.families.agreements import Moment
from sfumato.families.diffusion import Guide
from sfumato.runs.cascade.config import read_cascade
from sfumato.runs.conditions.build import Conditions, Wishes
from sfumato.runs.config import RunConfig
from sfumato.runs.run import CHUNK, Run
from sfumato.runs.sampling import Chunk, Request, Sampled, sample_whole

NEXT_STAGE = 2**40


@dataclass(frozen=True)
class Staged:
    """How the stages of a cascade are sampled: the options of each; drawing: as of the cascade."""

    stages: tuple[Any, ...]
    drawing: int = 0

    @property
    def guidance(self) -> float | Mapping[str, float]:
        """The guidance of the first stage that draws, which makes what the others make clearer."""
        weight: float | Mapping[str, float] = self.stages[self.drawing].guidance
        return weight

    @property
    def steps(self) -> int:
        """The steps of all stages."""
        return sum(options.steps for options in self.stages)


class Cascade:
    """The stages of a folder that make pictures, opened.

    folder: where it was read from; stages: their runs, in order; gives: the conditions they make.
    """

    def __init__(self, folder: Path, stages: tuple[Run, ...], gives: tuple[str | None, ...]) -> None:
        self.folder, self.stages, self.gives = folder, stages, gives

    @classmethod
    def open(cls, folder: str | Path, device: torch.device | str | None = None) -> "Cascade":
        """Open a folder; raise RunError where a stage is missing or damaged.

        device: where to sample, by default the accelerator if there is one.
        """
        path = Path(folder)
        parts = [part for part in read_cascade(path).stages if part.samples]
        runs = tuple(Run.open(path / part.name, device) for part in parts)
        return cls(path, runs, tuple(part.gives for part in parts))

    def after(self, gives: str) -> "Cascade":
        """Return what follows the stage that makes `gives`, for whoever has that already.

        Raises ConfigError where no stage makes it.
        """
        if gives not in self.gives:
            raise ConfigError(f"no stage of {self.folder} makes a {gives}.")
        first = self.gives.index(gives) + 1
        return Cascade(self.folder, self.stages[first:], self.gives[first:])

    @property
    def last(self) -> Run:
        """The stage that finishes the pictures."""
        return self.stages[-1]

    @property
    def drawing(self) -> int:
        """The place of the first stage that makes pictures, which a prior's embeddings are not."""
        return next(place for place, stage in enumerate(self.stages) if not stage.config.makes_codes)

    @property
    def alone(self) -> Run | None:
        """The stage that makes the pictures, where all others only help to train it."""
        return self.stages[0] if len(self.stages) == 1 else None

    @property
    def conditions(self) -> Conditions:
        """What the cascade can be asked for: what its first stage knows."""
        return self.stages[0].conditions

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes that it can be asked for."""
        return self.stages[0].classes

    @property
    def config(self) -> RunConfig:
        """The configuration of the last stage, whose data is what the cascade makes."""
        return self.last.config

    def told(self, options: Staged) -> dict[str, Any]:
        """Return how each stage is sampled, ready for JSON."""
        return {"stages": [stage.told(how) for stage, how in zip(self.stages, options.stages, strict=True)]}

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the pictures it makes: (C, H, W)."""
        return self.last.config.data.shape

    def request(
        self,
        n: int,
        labels: Sequence[str | int] | None = None,
        seed: int = 0,
        guides: Sequence[Guide] = (),
        known: Sequence[Sequence[Any]] = (),
        prompts: Sequence[str] | None = None,
        attributes: Sequence[str] | None = None,
        negative: Sequence[str] | None = None,
        conditions: Mapping[str, Sequence[Any]] | None = None,
        like: Split | None = None,
        **options: Any,
    ) -> Request:
        """Describe what to sample; raise ConfigError for what cannot be done.

        Arguments as for `Run.request`, and for `options` what is said of sampling.
        """
        first = self.stages[0].request(
            n,
            labels,
            seed,
            known=known[0] if known else (),
            prompts=prompts,
            attributes=attributes,
            negative=negative,
            conditions=conditions,
            like=like,
        )
        return replace(first, options=self.options(guides, known, **options))

    def options(
        self,
        guides: Sequence[Guide] = (),
        known: Sequence[Sequence[Any]] = (),
        guidance: float | Mapping[str, float] | None = None,
        **options: Any,
    ) -> Staged:
        """Return how to sample each stage.

        guidance: a number is for the first stage that draws, and a weight with a name for the first one that
        knows that condition; guides, options: for the first stage that draws. All else is sampled in its own
        way. known: what is said of the pictures of each stage, () where nothing is.
        """
        told, weights = known or [()] * len(self.stages), self._weights(guidance)
        found = []
        for place, stage in enumerate(self.stages):
            said = {"guides": guides, **options} if place == self.drawing else {}
            found.append(stage.options(known=told[place], guidance=weights.get(place), **said))
        return Staged(tuple(found), self.drawing)

    def _weights(self, guidance: float | Mapping[str, float] | None) -> dict[int, Any]:
        """Return what is said of the guidance of a stage, by its place."""
        if not isinstance(guidance, Mapping):
            return {self.drawing: guidance}
        found: dict[int, dict[str, float]] = {}
        for name, weight in guidance.items():
            knowing = (place for place, stage in enumerate(self.stages) if name in stage.conditions.readers)
            found.setdefault(next(knowing, self.drawing), {})[name] = weight
        return found

    def walk(self, request: Request, places: range) -> Iterator[Chunk]:
        """Yield the moments of sampling the images at `places` of a request, stage after stage."""
        told = request.part(places)
        made: dict[str, Sequence[Any]] = {}
        done = evaluations = 0
        for number, (stage, gives) in enumerate(zip(self.stages, self.gives, strict=True)):
            asked = self._asked(number, told, made)
            for chunk in stage.walk(asked, range(len(places))):
                counts = {
                    "index": done + chunk.moment.index,
                    "steps": request.options.steps,
                    "evaluations": evaluations + chunk.moment.evaluations,
                }
                # The end of one stage is the beginning of the next, and is shown once.
                if number == 0 or chunk.moment.index:
                    yield self._shown(chunk, places, counts)
            done, evaluations = done + chunk.moment.steps, evaluations + chunk.moment.evaluations
            if gives is not None:
                made[gives] = list(chunk.state)

    def _asked(self, number: int, told: Request, made: Mapping[str, Sequence[Any]]) -> Request:
        """Return the request of one stage, for the images of a chunk."""
        options = told.options.stages[number]
        if number == 0:
            return replace(told, options=options)
        known = self.stages[number].conditions
        said = {**told.said, **made}
        wanted = {name: values for name, values in said.items() if name in known.readers}
        away = {name: values for name, values in told.away.items() if name in known.readers}
        condition = known.asked(Wishes(wanted, away), told.n)
        return replace(told, seed=told.seed + number * NEXT_STAGE, condition=condition, options=options)

    def _shown(self, chunk: Chunk, places: range, counts: Mapping[str, int]) -> Chunk:
        """Return the moment as one of the whole cascade, in the size of its pictures."""
        state, guess = (later(partial(self._as_made, chunk, name)) for name in ("state", "guess"))
        # Written out, as `replace` would ask for what nobody looks at.
        own_state, own_guess = (later(partial(getattr, chunk.moment, name)) for name in ("state", "guess"))
        moment = Moment(counts["index"], counts["steps"], own_state, own_guess, counts["evaluations"])
        return Chunk(places, moment, state, guess)

    def _as_made(self, chunk: Chunk, name: str) -> np.ndarray:
        values: np.ndarray = getattr(chunk, name)
        if values.ndim != 4:
            return np.full((len(values), *self.shape), 127, np.uint8)  # an embedding cannot be looked at
        if values.shape[1:] == self.shape:
            return values
        larger = F.interpolate(torch.from_numpy(values), self.shape[1:], mode="nearest")
        return larger.numpy()

    def hastened(self, say: Callable[[str], None] = warnings.warn, processes: int = 1) -> Sampled:
        """Return what walks one request: the cascade itself, whose stages are sampled as they come."""
        return self

    def sample(
        self, n: int = 16, labels: Sequence[str | int] | None = None, seed: int = 0, **options: Any
    ) -> np.ndarray:
        """Return `n` new pictures: uint8 (n, C, H, W); arguments as for `Run.request`."""
        return sample_whole(self, self.request(n, labels, seed, **options), CHUNK)

"""Held-out examples as likelihoods ask for them: in the model's units, with what they are told."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from sfumato.app.console import note
from sfumato.condition import Condition
from sfumato.data import Dataset, Split
from sfumato.data.scaling import Scaling
from sfumato.errors import DataError
from sfumato.nets.conditions import ATTRIBUTES, TEXT
from sfumato.nets.embedding import LABEL
from sfumato.randomness import SeededNoise, generator
from sfumato.runs.run import Run

CHUNK = 16
"""Examples at a time: few, because the flow's steps are those of the worst, and the bar moves more often."""


@dataclass(frozen=True)
class Examples:
    """Held-out examples as the model sees them: (N, ...), and what they are conditioned on.

    scale: nats to add to −log p of an example, so that densities are per unit of the data, not of the model.
    """

    values: Tensor
    condition: Condition | None
    scale: float
    seed: int

    def chunks(self) -> Iterator[tuple[Tensor, SeededNoise, Condition | None]]:
        """Yield a few examples at a time, each with noise from its own seed."""
        for start in range(0, len(self.values), CHUNK):
            rows = slice(start, start + CHUNK)
            values = self.values[rows]
            noise = SeededNoise(range(self.seed + start, self.seed + start + len(values)))
            yield values, noise, None if self.condition is None else self.condition[rows]


def held_out(run: Run, dataset: Dataset, n: int, seed: int) -> Examples:
    """Return `n` held-out examples; raise DataError where there are none."""
    split = dataset.held_out
    if len(split) < 2:
        raise DataError(
            f"{dataset.source} has {len(split)} held-out examples, and a mean needs 2: name data with --data."
        )
    if len(split) < n:
        note(f"only {len(split):,} examples are held out: all of them are used")
    # A folder's examples are sorted by class: the first of them would be one class alone.
    some = torch.randperm(len(split), generator=generator(seed, "likelihood"))[:n]
    chosen = split.select(some)
    values, _ = chosen.batch(torch.arange(len(chosen)))
    scaled = run.scaling.to_model(values).to(run.device)
    return Examples(scaled, told(run, dataset, chosen, values), log_scale(run.scaling, values), seed)


def told(run: Run, dataset: Dataset, split: Split, values: Tensor) -> Condition | None:
    """Return what examples `values` of a split are told, of all that the run obeys and the data knows.

    Other data may have no captions, or other classes: then that is hidden, as in part of training, and said.
    """
    known = {
        LABEL: split.labels is not None and dataset.classes == run.classes,
        TEXT: split.captions is not None,
        ATTRIBUTES: split.attributes is not None and dataset.attributes == run.config.data.attributes,
    }
    hidden = [name for name in run.conditions.readers if not known.get(name, True)]
    if hidden:
        note(f"the data does not tell {' or '.join(hidden)}, so it stays hidden")
    shown = run.conditions.only(name for name in run.conditions.readers if name not in hidden)
    places = torch.arange(len(split))
    condition = shown.of({name: find(places, values) for name, find in shown.lookups(split).items()})
    return None if condition is None else condition.to(run.device)


def log_scale(scaling: Scaling, values: Tensor) -> float:
    """Return −log of how much the scaling stretches a volume, which is what −log p gains in the data's units.

    Bytes have probabilities, which know no units.
    """
    if scaling.bounds is not None:
        return 0.0
    origin = torch.zeros_like(values[:1])
    stretch = scaling.to_model(origin + 1) - scaling.to_model(origin)
    return -float(stretch.double().log().sum())

"""The pictures of an encoder in a run's report: a map of what it has not seen, and who is near whom."""

import numpy as np
import torch

from sfumato.app.pictures.embeddings import beside_neighbours, map_of
from sfumato.app.report.content import Figure
from sfumato.data import Dataset
from sfumato.data.dataset import Split
from sfumato.metrics.embedding_map import embedding_map
from sfumato.metrics.probe import embeddings
from sfumato.metrics.similar import similar
from sfumato.randomness import generator
from sfumato.runs.run import Run

MAPPED, ASKED, NEIGHBOURS, SEARCHED = 1500, 8, 9, 10_000


def embedding_panels(run: Run, dataset: Dataset) -> list[Figure]:
    """Return a map of the embeddings of examples, and for pictures the nearest neighbours of some."""
    unseen = dataset.unseen
    shown = some(unseen, MAPPED)
    codes = embeddings(run.encode, shown)
    found = [_map(codes, shown, dataset)]
    if dataset.is_pictures:
        found.append(_neighbours(run, codes[:ASKED], shown, dataset))
    return found


def some(split: Split, count: int) -> Split:
    """Return at most `count` examples of a split, always the same, in random order."""
    rows = torch.randperm(len(split), generator=generator(0, "embeddings"))[:count]
    return split.select(rows)


def _map(codes: torch.Tensor, shown: Split, dataset: Dataset) -> Figure:
    labels = None if shown.labels is None else shown.labels.numpy()
    drawn = map_of(embedding_map(codes).numpy(), labels, dataset.classes)
    caption = (
        f"{len(codes):,} examples by their embeddings, in the plane; colours are the classes, which the "
        "encoder was never told. Islands mean something, how far they lie apart does not."
    )
    return Figure("map", "Map of embeddings", drawn, caption)


def _neighbours(run: Run, asked: torch.Tensor, shown: Split, dataset: Dataset) -> Figure:
    searched = some(dataset.train, SEARCHED)
    rows, _ = similar(asked, embeddings(run.encode, searched), NEIGHBOURS)
    near = searched.store.take(rows.flatten()).unflatten(0, tuple(rows.shape))
    pictures = shown.store.take(torch.arange(len(asked)))
    drawn = beside_neighbours(np.asarray(pictures), np.asarray(near))
    caption = (
        f"On the left, examples; right of each, its {rows.shape[1]} nearest by embedding among "
        f"{len(searched):,} training examples."
    )
    return Figure("similar", "Nearest by embedding", drawn, caption)

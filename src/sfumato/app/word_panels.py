"""The picture of words in a report: what captions find by their codes, or by what a prior makes of them."""

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from sfumato.app.embedding_panels import NEIGHBOURS, SEARCHED, some
from sfumato.app.pictures import grid
from sfumato.app.report.content import Figure
from sfumato.app.text_scores import captions_read
from sfumato.data import Dataset
from sfumato.data.dataset import Split
from sfumato.families.agreements import TextEncoder
from sfumato.metrics.probe import Encode, embeddings
from sfumato.metrics.similar import similar
from sfumato.nets.conditions import TEXT
from sfumato.runs.latent import encoder_of
from sfumato.runs.run import Run

ASKED = 8


def word_panels(run: Run, dataset: Dataset) -> list[Figure]:
    """Return what an encoder of sentences finds by them, or a prior by its embeddings; nothing of others."""
    if dataset.train.captions is None or not dataset.is_pictures:
        return []
    if isinstance(run.family, TextEncoder):
        return [_figure(partial(captions_read, run), run.encode, dataset, "the code of the caption")]
    if run.config.makes_codes and TEXT in run.conditions.readers:
        return [
            _figure(partial(_made, run), encoder_of(run).encode, dataset, "the embedding made of the caption")
        ]
    return []


def _made(run: Run, shown: Split) -> Tensor:
    """Return what a prior makes of a split's captions: (N, D)."""
    return torch.from_numpy(run.sample(len(shown), like=shown))


def _figure(codes: Callable[[Split], Tensor], encode: Encode, dataset: Dataset, what: str) -> Figure:
    unseen = dataset.unseen
    shown, searched = some(unseen, ASKED), some(dataset.train, SEARCHED)
    drawn = found_by(codes(shown), shown, searched, encode)
    said = (
        f"On the left, examples that were held out, with their captions; right of each, of {len(searched):,} "
        f"training examples, those nearest to {what}, which alone is asked."
    )
    return Figure("words", "Found by words", drawn, said)


def found_by(codes: Tensor, shown: Split, searched: Split, encode: Encode) -> Image.Image:
    """Draw a row for each captioned picture of `shown`: itself, then what its code, (N, D), is nearest to."""
    rows, _ = similar(codes, embeddings(encode, searched), NEIGHBOURS)
    near = searched.store.take(rows.flatten()).unflatten(0, tuple(rows.shape)).numpy()
    own = shown.store.take(torch.arange(len(shown))).numpy()
    cells = np.concatenate([own[:, None], near], 1)
    words = [text for caption in shown.captions or () for text in (caption, *[""] * rows.shape[1])]
    return grid(cells.reshape(-1, *own.shape[1:]), cells.shape[1], words)

"""The pictures of a run's report, by what its family can do: make examples, see them, know them by a code."""

import numpy as np
import torch

from sfumato.app.embedding_panels import embedding_panels
from sfumato.app.pictures import can_draw, film_strip, pairs, picture
from sfumato.app.report.content import Figure
from sfumato.app.word_panels import word_panels
from sfumato.data import Dataset
from sfumato.families.agreements import Autoencoder, Encoder, Generator
from sfumato.metrics import nearest
from sfumato.runs.latent import Tokens
from sfumato.runs.rebuilding import rebuilt
from sfumato.runs.run import Run

SHOWN, COMPARED = 60, 20


def panels(run: Run, dataset: Dataset) -> tuple[list[Figure], list[Figure]]:
    """Return the pictures of what it makes, and those to judge it by; none of what cannot be drawn."""
    made: list[Figure] = []
    evidence: list[Figure] = []
    if isinstance(run.family, Generator) and not run.config.makes_codes:
        made, evidence = _samples(run, dataset)
    if isinstance(run.scaling, Tokens) and len(run.shape) == 3:
        made.append(_written(run, dataset))
    if isinstance(run.family, Autoencoder) and len(run.shape) == 3:
        made.append(_reconstructions(run, dataset))
    elif isinstance(run.family, Encoder):
        made += embedding_panels(run, dataset)
    return made + word_panels(run, dataset), evidence


def rows_of(originals: np.ndarray, seen: np.ndarray, made: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return what is to be shown one above the other: what was seen stands out only where it is different."""
    return (originals, made) if np.array_equal(originals, seen) else (originals, seen, made)


def said_of_rows(originals: np.ndarray, seen: np.ndarray) -> str:
    """Return what the rows, or of points the colours, are."""
    between = "" if np.array_equal(originals, seen) else "what the encoder was shown of it, "
    first = "what was" if originals.ndim == 4 else "in grey what was"
    return f"{first}, {between if originals.ndim == 4 else ''}and what is rebuilt"


def _samples(run: Run, dataset: Dataset) -> tuple[list[Figure], list[Figure]]:
    unseen = dataset.unseen
    request = run.request(SHOWN if dataset.is_pictures else 2000, like=unseen)
    moments = [chunk.state for chunk in run.walk(request, range(request.n))]
    samples, labels = moments[-1], None if request.labels is None else request.labels.numpy()
    found = []
    if can_draw(dataset.shape):
        drawn = picture(samples, labels, captions=request.prompts or None, reference=_reference(dataset))
        found.append(Figure("samples", "Samples", drawn, _caption(run, request.n)))
    if can_draw(dataset.shape) and len(moments) > 2:
        caption = (
            "Each sample on its way, from the first moment on the left to the finished one on the right."
        )
        found.append(Figure("film", "From nothing to picture", film_strip(moments), caption))
    return found, [_neighbours(samples, dataset)] if dataset.is_pictures else []


def _caption(run: Run, n: int) -> str:
    order = "; columns are the classes in order" if run.classes else ""
    way = run.model.way()
    return f"{n:,} samples from seeds 0 on{', ' if way else ''}{way}{order}."


def _reference(dataset: Dataset) -> np.ndarray | None:
    if dataset.is_pictures:
        return None
    return dataset.train.store.take(torch.arange(min(4000, len(dataset.train)))).numpy()


def _neighbours(samples: np.ndarray, dataset: Dataset) -> Figure:
    shown = samples[:COMPARED]
    indices, _ = nearest(torch.from_numpy(shown), dataset.train.store)
    caption = (
        "Above, samples; below each, the nearest of the training images. Pairs that are alike to the pixel "
        "would mean the model remembers rather than invents."
    )
    drawn = pairs(shown, dataset.train.store.take(indices).numpy())
    return Figure("neighbours", "Is it copying?", drawn, caption)


def _reconstructions(run: Run, dataset: Dataset) -> Figure:
    unseen = dataset.unseen
    examples, labels = unseen.batch(torch.arange(min(COMPARED, len(unseen))))
    originals, (seen, made) = examples.numpy(), rebuilt(run, examples, labels)
    text = f"Examples that were held out, one below the other: {said_of_rows(originals, seen)}."
    return Figure("reconstructions", "What a code keeps", pairs(*rows_of(originals, seen, made)), text)


def _written(run: Run, dataset: Dataset) -> Figure:
    """Return held-out pictures and what their tokens say, which bounds how sharp a sample can be."""
    examples = dataset.unseen.batch(torch.arange(min(COMPARED, len(dataset.unseen))))[0]
    again = run.scaling.to_data(run.scaling.to_model(examples)).numpy()
    text = "Held-out pictures, and below each what its tokens say: no sample can be sharper than that."
    return Figure("tokens", "What tokens keep", pairs(examples.numpy(), again), text)

"""What `sfumato evaluate` does for a prior: are the embeddings that it makes of captions their pictures'?

Below its figures stand those of the encoder's own codes of the captions, where it has any. They are codes of
sentences, and none of pictures: a prior is worth its while where it comes nearer.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from sfumato.app.code_scores import keep_scores
from sfumato.app.guiding import Guidances
from sfumato.app.scoring import one_process, sample_all
from sfumato.app.text_scores import Row
from sfumato.app.training import read_for
from sfumato.data.dataset import Split
from sfumato.errors import ConfigError
from sfumato.metrics.probe import embeddings
from sfumato.metrics.retrieval import dealt, nearer, retrieval, texts_of
from sfumato.nets.conditions import TEXT
from sfumato.runs.latent import encoder_of
from sfumato.runs.run import Run


def score_prior(
    run: Run, source: str | None, n: int, seed: int, as_json: bool, wish: Guidances, **how: Any
) -> list[Row]:
    """Score a prior by `n` captions that were held out, print the figures, and keep them as others are.

    how: as for `Run.request`. Raises ConfigError where there are no captions to go by.
    """
    one_process("evaluate")
    dataset = read_for(run, source)
    split = dataset.unseen
    if split.captions is None or TEXT not in run.conditions.readers:
        raise ConfigError(
            f"embeddings are scored by the captions they are made of: {run.folder} is told none, or "
            f"{dataset.name} has none."
        )
    split = split.select(torch.arange(min(n, len(split))))
    request = wish.request(run, len(split), None, seed, like=split, **how)
    made = {"made of a caption": sample_all(run, request), **_codes_of_captions(run, split)}
    pictures = embeddings(encoder_of(run).encode, split)
    rows = [
        row for name, codes in made.items() for row in _rows(name, torch.from_numpy(codes), pictures, split)
    ]
    keep_scores(run, dataset, rows, as_json)
    return rows


def _codes_of_captions(run: Run, split: Split) -> dict[str, np.ndarray]:
    """Return the encoder's own codes of the captions, nothing where it has none."""
    encoder = encoder_of(run)
    if encoder.tokenizer is None or split.captions is None:
        return {}
    return {"the caption's own code": texts_of(encoder.encode_text, split.captions).numpy()}


def _rows(name: str, codes: Tensor, pictures: Tensor, split: Split) -> list[Row]:
    """Return how near codes (N, D) of captions are to those of their pictures."""
    captions = split.captions or ()
    found = retrieval(pictures, codes, dealt(captions))
    share = nearer(codes, pictures, captions)
    return [
        (f"{name}: its picture nearer than another", f"{share:.1%} (of {len(codes):,}, chance 50.0%)"),
        (f"{name}: its picture nearest", f"{found.pictures:.1%} (of {found.n}, chance {found.chance:.1%})"),
        (f"{name}: cosine to its picture's", f"{torch.cosine_similarity(codes, pictures).mean():.3f}"),
    ]

"""How well pictures are found by words: the lines of `sfumato evaluate` about retrieval."""

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from sfumato.data import Dataset
from sfumato.data.dataset import Split
from sfumato.errors import ConfigError
from sfumato.families.agreements import TextEncoder
from sfumato.metrics.probe import embeddings
from sfumato.metrics.retrieval import dealt, retrieval, texts_of
from sfumato.nets.conditions import TEXT
from sfumato.runs.cascade.cascade import Cascade
from sfumato.runs.conditions.picture import averaged
from sfumato.runs.model import text_codes
from sfumato.runs.run import Run

NEAREST = (1, 5)

Row = tuple[str, str]


def found_by_words(run: Run, dataset: Dataset) -> list[Row]:
    """Return how often a caption finds its picture among 100 held-out ones, and a picture its caption.

    Nothing for a run that knows no sentences, and for data without captions.
    """
    split = dataset.unseen
    if not isinstance(run.family, TextEncoder) or split.captions is None:
        return []
    pictures, among = embeddings(run.encode, split), dealt(split.captions)
    texts = captions_read(run, split)
    return [row for k in NEAREST for row in retrieval(pictures, texts, among, k).rows()]


def captions_read(run: Run, split: Split) -> Tensor:
    """Return the codes of a split's captions by an encoder of sentences: (N, D).

    No word of theirs need be known: such a one finds nothing.
    """
    return texts_of(partial(_codes_of, run), split.captions or ())


def _codes_of(run: Run, said: Sequence[str]) -> Tensor:
    """Return the codes of sentences: (B, D)."""
    return text_codes(run.model, run.sentences.tokenizer.encode(said).to(run.device)).cpu()


def check_judge(clip: Run, run: Run | Cascade) -> None:
    """Raise ConfigError unless `clip` can say whether pictures of `run` follow their words."""
    _ = clip.sentences  # refuses what knows no sentences
    if TEXT not in run.conditions.readers:
        raise ConfigError(f"{run.folder} is told no words that its pictures could follow: leave out --clip.")
    ours, its = run.shape, clip.shape
    if len(ours) != 3 or ours[0] != its[0] or ours[-1] % its[-1]:
        raise ConfigError(
            f"{clip.folder} knows pictures of shape {its}, and {run.folder} makes {ours}: choose a CLIP of "
            "the same pictures, or of ones smaller by a whole factor."
        )


def followed(clip: Run, samples: Tensor, prompts: Sequence[str]) -> list[Row]:
    """Return how often a picture's prompt is found by a CLIP among 100 others, and a prompt's picture.

    samples: (N, C, H, W) as the data is, larger than what the CLIP knows by a whole factor; prompts: N.
    """
    smaller = averaged(samples, clip.shape[-1]) if samples.shape[-1] != clip.shape[-1] else samples
    codes = torch.from_numpy(clip.encode(smaller))
    texts = texts_of(partial(_codes_of, clip), prompts)
    return [row for k in NEAREST for row in retrieval(codes, texts, dealt(prompts), k).rows()]

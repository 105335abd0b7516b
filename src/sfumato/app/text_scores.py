"""How well pictures are found by words: the lines of `sfumato evaluate` about retrieval."""

from collections.abc import Sequence

import torch
from torch import Tensor

from sfumato.data import Dataset
from sfumato.data.dataset import Split
from sfumato.families.agreements import TextEncoder
from sfumato.metrics.probe import Encode, embeddings
from sfumato.metrics.retrieval import dealt, retrieval, texts_of
from sfumato.runs.model import text_codes
from sfumato.runs.run import Run

NEAREST = (1, 5)

Row = tuple[str, str]


def found_by_words(run: Run, dataset: Dataset) -> list[Row]:
    """Return how often a caption finds its picture among 100 held-out ones, and a picture its caption.

    Nothing for a run that knows no sentences, and for data without captions.
    """
    split = dataset.held_out if len(dataset.held_out) else dataset.train
    if not isinstance(run.family, TextEncoder) or split.captions is None:
        return []
    tokenizer = run.sentences.tokenizer

    def encode_text(said: Sequence[str]) -> Tensor:
        """Read sentences of which no word need be known: such a one finds nothing."""
        return text_codes(run.model, tokenizer.encode(said).to(run.device)).cpu()

    return matched(run.encode, texts_of(encode_text, split.captions), split)


def followed(clip: Run, samples: Tensor, prompts: Sequence[str]) -> list[Row]:
    """Return how often a picture's prompt is found by a CLIP among 100 others, and a prompt's picture.

    samples: (N, C, H, W) as the data is; prompts: N. Raises ConfigError for a run that is no CLIP, or one of
    other pictures.
    """
    codes, texts = (
        torch.from_numpy(found) for found in (clip.encode(samples), clip.encode_text(list(prompts)))
    )
    return [row for k in NEAREST for row in retrieval(codes, texts, dealt(prompts), k).rows()]


def matched(encode: Encode, texts: Tensor, split: Split) -> list[Row]:
    """Return how often codes (N, D) that stand for the captions of a split go with its pictures' codes.

    encode: of the pictures. Each figure stands beside what guessing finds.
    """
    pictures, among = embeddings(encode, split), dealt(split.captions or ())
    return [row for k in NEAREST for row in retrieval(pictures, texts, among, k).rows()]

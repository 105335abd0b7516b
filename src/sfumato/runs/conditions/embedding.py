"""An embedding: what an encoder has understood of a picture, from which another one can be drawn.

This is what the *decoder* of DALL·E 2 is told (Ramesh et al. 2022, section 2.1): in training, what CLIP makes
of the example itself; in sampling, that of a picture to be varied, a mixture of two, or what a prior makes of
a sentence. Only its direction is told, as embeddings that were learned by contrast have no other meaning,

    e = √D · z/|z|,    so that its numbers have a mean square of 1.

The encoder's averaged weights are kept,

RUN/encoder.safetensors

so that the run can be trained further and scored without the encoder's own folder.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from sfumato.data.dataset import Dataset, Split
from sfumato.errors import ConfigError
from sfumato.metrics.probe import embeddings
from sfumato.nets.conditions import Vector
from sfumato.runs.conditions.agreements import Cycled, Lookup

if TYPE_CHECKING:
    from sfumato.runs.kept import Kept
    from sfumato.runs.run import Run

ENCODER = "encoder.safetensors"


def embedding_spec(encoder: "Run", dataset: Dataset) -> dict[str, object]:
    """Return the condition that the codes of `dataset` by `encoder` are.

    Raises ConfigError for a run that does not encode this data, or not into vectors.
    """
    from sfumato.runs.kept import check_encodes  # built of registered pieces, of which this module is one

    check_encodes(encoder, dataset)
    first = encoder.encode(dataset.train.batch(torch.arange(1))[0])
    if first.ndim != 2:
        raise ConfigError(
            f"{encoder.folder} encodes into codes of shape {first.shape[1:]}, and a model is told vectors: "
            "choose an encoder of --recipe clip or contrastive."
        )
    return {"name": "embedding", "width": first.shape[1], "run": str(encoder.folder)}


@dataclass(frozen=True)
class EmbeddingCondition:
    """The code of a picture; width: D, its numbers; run: of the encoder that makes it, for the record."""

    width: int
    run: str = ""
    always = False

    def __post_init__(self) -> None:
        if self.width < 1:
            raise ConfigError(f"an embedding has at least 1 number, not {self.width}.")

    def kind(self) -> Vector:
        """Return how many numbers it has."""
        return Vector(self.width)

    def open(self, folder: Path, device: torch.device) -> "EmbeddingReader":
        """Return the reader with the encoder that the run keeps."""
        from sfumato.runs.kept import open_kept

        return EmbeddingReader(open_kept(folder / ENCODER, device), self.width)


def directions(codes: Tensor) -> Tensor:
    """Return codes (B, D) at length √D, as float32."""
    return F.normalize(codes.float(), dim=1) * math.sqrt(codes.shape[1])


@dataclass(frozen=True)
class EmbeddingReader:
    """From pictures, and from codes that a person has, to what the network is told; width: D."""

    encoder: "Kept"
    width: int

    def of_split(self, split: Split) -> Lookup:
        """Return the codes of examples, all found once, so that each is the same in any batch."""
        rows = directions(embeddings(self.encoder.encode, split))
        return lambda places, examples: rows[places]

    def asked(self, values: Sequence[Any] | None, n: int) -> Tensor | None:
        """Return codes asked for, arrays (D,) of any length each: (n, D); without any, nothing is asked.

        Raises ConfigError for codes of another shape, or that are not finite.
        """
        if values is None or not len(values):
            return None
        codes = [torch.as_tensor(np.asarray(value, np.float32)) for value in values]
        for code in codes:
            if code.shape != (self.width,) or not code.isfinite().all():
                raise ConfigError(
                    f"this model is told embeddings of {self.width} finite numbers, not {tuple(code.shape)}: "
                    "take them from 'encode' of the run it was trained with, or from a prior in its codes."
                )
        return Cycled(directions(torch.stack(codes))).to(n)

    def nothing(self, n: int) -> Tensor:
        """Return zeros."""
        return torch.zeros(n, self.width)

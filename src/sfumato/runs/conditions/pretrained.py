"""Sentences as a text encoder of others reads them, which stays as it is (Saharia et al. 2022, section 2.1).

    sentence ↦ features of its words (L, W) ↦ (L, W + 1), whose last number is 1 for a word, 0 for padding

Features of captions are found once for each different caption and looked up in training. The encoder is kept,

RUN/text_encoder/   its config.json, its tokenizer and its safetensors; nothing else of the folder

so that the run's folder is all it takes to sample and to train further; the encoder's own may go.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sfumato.data.dataset import Dataset, Split
from sfumato.errors import ConfigError, DataError, RunError
from sfumato.files import whole_file
from sfumato.nets.read_text import ReadText
from sfumato.runs.conditions.agreements import Cycled, Lookup
from sfumato.runs.conditions.text import unheard
from sfumato.text.pretrained import TOKENIZERS, WEIGHTS, PretrainedText

TEXT_ENCODER = "text_encoder"
KEPT = (
    WEIGHTS,
    f"{WEIGHTS}.index.json",
    *TOKENIZERS,
    "merges.txt",
    "added_tokens.json",
    "special_tokens_map.json",
    "tokenizer_config.json",
    "config.json",
)
"""What is kept of an encoder's folder. Pickles and code, which could run, are left where they are."""
AT_ONCE = 64
"""Captions that are read at a time."""


@dataclass(frozen=True)
class PretrainedTextCondition:
    """Captions, read by a text encoder that others trained.

    length: tokens in a row, by default those of the longest caption; width: W of its features, which is
    measured; folder: of the encoder, in the hub's format; once the run has begun, for the record alone.
    """

    length: int
    width: int
    folder: str
    always = False

    def __post_init__(self) -> None:
        if self.length < 1 or self.width < 1:
            raise ConfigError("a pretrained text has a length and a width of at least 1.")

    def kind(self) -> ReadText:
        """Return what the network must know."""
        return ReadText(self.length, self.width)

    def keep(self, dataset: Dataset, folder: Path) -> None:
        """Copy the encoder into the folder of a run.

        Raises DataError for data without captions, ConfigError where the configuration speaks of another one.
        """
        if dataset.train.captions is None:
            raise DataError(f"'{dataset.source}' has no captions, and this model is told them.")
        found = PretrainedText.open(self.folder, self.length)
        if (found.length, found.width) != (self.length, self.width):
            raise ConfigError(
                f"'{self.folder}' reads at most {found.length} tokens into {found.width} numbers each, "
                f"not {self.length} into {self.width}: set conditions.text.length no larger, and no width."
            )
        copy_encoder(Path(self.folder), folder / TEXT_ENCODER)

    def open(self, folder: Path, device: torch.device) -> "PretrainedReader":
        """Return the reader with the encoder that the run keeps; raise RunError where that is damaged."""
        path = folder / TEXT_ENCODER
        if not path.is_dir():
            raise RunError(f"{path} is missing, without which words mean nothing to this model: restore it.")
        try:
            encoder = PretrainedText.open(path, self.length)
        except ConfigError as error:
            raise RunError(f"{path}: {error}") from error
        if (encoder.length, encoder.width) != (self.length, self.width):
            raise RunError(f"{path} is not the encoder that this model was trained with: restore it.")
        encoder.network.to(device)
        return PretrainedReader(encoder)


def pretrained_spec(encoder: Path | str, captions: Sequence[str]) -> dict[str, object]:
    """Return the condition that captions are as the encoder in a folder reads them.

    Rows are as long as the longest caption needs: attention to padding costs time and finds nothing. Raises
    ConfigError for a folder that is no text encoder.
    """
    found = PretrainedText.open(encoder)
    longest = max(found.count(text) for text in dict.fromkeys(captions))
    length = min(longest, found.length)
    return {"name": "pretrained-text", "length": length, "width": found.width, "folder": str(encoder)}


def copy_encoder(encoder: Path, copy: Path) -> None:
    """Copy what is needed of an encoder's folder.

    Raises ConfigError where the copy would be mixed with files of another encoder, which would be read, too.
    """
    files = [path for pattern in KEPT for path in sorted(encoder.glob(pattern))]
    names = {path.name for path in files}
    others = [path.name for pattern in KEPT for path in copy.glob(pattern) if path.name not in names]
    if others:
        raise ConfigError(f"{copy} holds {others[0]} of another encoder: choose another --out, or remove it.")
    copy.mkdir(parents=True, exist_ok=True)
    for path in files:
        with whole_file(copy / path.name) as temporary:
            shutil.copyfile(path, temporary)


def pass_on(folder: Path, other: Path) -> None:
    """Copy the text encoder of a run to another one, if it has one."""
    if (folder / TEXT_ENCODER).is_dir():
        copy_encoder(folder / TEXT_ENCODER, other / TEXT_ENCODER)


@dataclass(frozen=True)
class PretrainedReader:
    """From sentences to features; encoder: the run's."""

    encoder: PretrainedText

    def of_split(self, split: Split) -> Lookup:
        """Return the features of examples' captions, each different one read once: float (B, L, W + 1)."""
        if split.captions is None:
            raise DataError("the data has no captions, and this model is told them.")
        places = {text: place for place, text in enumerate(dict.fromkeys(split.captions))}
        rows, which = self._read(list(places)), torch.tensor([places[text] for text in split.captions])
        return lambda chosen, examples: rows[which[chosen]].float()

    def asked(self, values: Sequence[Any] | None, n: int) -> Tensor | None:
        """Return features of prompts: (n, L, W + 1); without any, nothing is asked.

        Raises ConfigError for a prompt of which no word is known.
        """
        if not values:
            return None
        texts = [str(text) for text in values]
        for text in texts:
            if set(text.split()) <= set(self.encoder.unknown(text)):
                raise ConfigError(f"the text encoder knows no word of '{text}': use others.")
        return Cycled(self._read(texts).float()).to(n)

    def nothing(self, n: int) -> Tensor:
        """Return padding."""
        return torch.zeros(n, self.encoder.length, self.encoder.width + 1)

    def lost(self, texts: Sequence[str]) -> list[str]:
        """Return what the model does not hear of prompts, a sentence each."""
        return unheard(self.encoder, texts)

    def _read(self, texts: Sequence[str]) -> Tensor:
        """Return features with presence behind them, (B, L, W + 1) on the CPU.

        In float16, half the memory for many captions; prompts are rounded alike.
        """
        parts = []
        for start in range(0, len(texts), AT_ONCE):
            each, present = self.encoder.encode(texts[start : start + AT_ONCE])
            parts.append(torch.cat([each, present[..., None]], -1).half().cpu())
        return torch.cat(parts)

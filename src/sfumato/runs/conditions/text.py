"""Sentences: the run learns its own tokenizer from its captions and keeps it.

RUN/tokenizer.json   the words or pieces of words that the run knows
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from sfumato.data.dataset import Dataset, Split
from sfumato.errors import ConfigError, DataError, LostWords, RunError
from sfumato.files import write_whole
from sfumato.nets.conditions import Text
from sfumato.runs.conditions.agreements import Cycled, Listener, Lookup
from sfumato.text.learning import usual
from sfumato.text.tokenizer import Tokenizer

TOKENIZER = "tokenizer.json"


@dataclass(frozen=True)
class TextCondition:
    """Captions, read by a transformer that is trained with the network.

    vocabulary: how many tokens the run's tokenizer has, which is measured; length: tokens in a row; width and
    layers: of the transformer.
    """

    vocabulary: int
    length: int = 16
    width: int = 128
    layers: int = 2
    always = False

    def __post_init__(self) -> None:
        if self.width < 8 or self.layers < 0:
            raise ConfigError("text is read with a width of at least 8 and no negative number of layers.")

    def kind(self) -> Text:
        """Return what the network must know."""
        return Text(self.vocabulary, self.length, self.width, self.layers)

    def open(self, folder: Path, device: torch.device) -> "TextReader":
        """Return the reader with the run's tokenizer."""
        return TextReader(open_tokenizer(folder))

    def keep(self, dataset: Dataset, folder: Path) -> None:
        """Write the tokenizer of the data's captions into the folder of a run.

        Raises DataError for data without captions, ConfigError where the configuration speaks of another one.
        """
        if dataset.train.captions is None:
            raise DataError(f"'{dataset.source}' has no captions, and this model is told them.")
        tokenizer = replace(learned(dataset.train.captions), length=self.length)
        if tokenizer.vocabulary != self.vocabulary:
            raise ConfigError(
                f"conditions.text.vocabulary is measured, {tokenizer.vocabulary} for these captions, and "
                f"cannot be set to {self.vocabulary}: leave it out."
            )
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / TOKENIZER, tokenizer.to_json().encode())


def learned(captions: Sequence[str]) -> Tokenizer:
    """Return the tokenizer of captions: the same for the same captions."""
    return usual(captions).learn(captions)


def pass_on(folder: Path, other: Path) -> None:
    """Copy the tokenizer of a run to another one, if it has one."""
    if (folder / TOKENIZER).is_file():
        write_whole(other / TOKENIZER, (folder / TOKENIZER).read_bytes())


def open_tokenizer(folder: Path) -> Tokenizer:
    """Read the tokenizer of a run; raise RunError where it is missing or damaged."""
    try:
        return Tokenizer.from_json((folder / TOKENIZER).read_text("utf-8"))
    except OSError as error:
        raise RunError(
            f"{folder / TOKENIZER} is missing, without which words mean nothing to this model: restore it."
        ) from error
    except (UnicodeDecodeError, ConfigError) as error:
        raise RunError(f"{folder / TOKENIZER}: {error}") from error


@dataclass(frozen=True)
class TextReader:
    """From sentences to rows of tokens; tokenizer: the run's."""

    tokenizer: Tokenizer

    def of_split(self, split: Split) -> Lookup:
        """Return the captions of examples, read once."""
        if split.captions is None:
            raise DataError("the data has no captions, and this model is told them.")
        rows = self.tokenizer.encode(split.captions)
        return lambda places, examples: rows[places]

    def asked(self, values: Sequence[Any] | None, n: int) -> Tensor | None:
        """Return rows of prompts: (n, L); without any, nothing is asked."""
        if not values:
            return None
        return Cycled(self.tokenizer.encode([str(text) for text in values])).to(n)

    def require_heard(self, texts: Sequence[str]) -> None:
        """Raise ConfigError for a text of which no word is known, should a person ask for it."""
        for text in texts:
            if not self.tokenizer.hears(text):
                raise ConfigError(
                    f"this model knows no word of '{text}': use words of its captions, which "
                    f"{TOKENIZER} of the run lists."
                )

    def nothing(self, n: int) -> Tensor:
        """Return rows of padding."""
        return torch.zeros(n, self.tokenizer.length, dtype=torch.int64)

    def lost(self, texts: Sequence[str]) -> list[str]:
        """Return what the model does not hear of prompts, a sentence each."""
        return unheard(self.tokenizer, texts)


class Hearing(Protocol):
    """What takes some of a sentence: a tokenizer, or an encoder that has one."""

    def unknown(self, text: str) -> tuple[str, ...]:
        """Return the parts of a sentence that it has no token for."""
        ...

    def cut(self, text: str) -> str:
        """Return the part of a sentence for which it has no room."""
        ...


def unheard(ears: Hearing, texts: Sequence[str]) -> list[str]:
    """Return what is not heard of sentences, a sentence for each word and for each end that is cut off."""
    words = dict.fromkeys(word for text in texts for word in ears.unknown(text))
    ends = {text: end for text in texts if (end := ears.cut(text))}
    return [f"this model does not know '{word}' and goes on without it" for word in words] + [
        f"of '{text}' this model takes no more than the words before '{end}'" for text, end in ends.items()
    ]


def tell_lost(reader: object, texts: Sequence[str]) -> None:
    """Warn of what is not heard of sentences, each word once; raise ConfigError where of one nothing is."""
    if isinstance(reader, TextReader):
        reader.require_heard(texts)
    if isinstance(reader, Listener):
        for lost in reader.lost(texts):
            warnings.warn(lost, LostWords, stacklevel=3)

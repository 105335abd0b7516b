"""From sentences to rows of whole numbers, and what of a sentence is lost on the way.

    "a red circle" ↦ [BEGIN, a, red, circle, END, PADDING, …]

A tokenizer is learned from a run's captions and kept beside its weights as one JSON text. A word that it has
no token for is left out of the row: a token for whatever is unknown would reach the network as a vector that
no caption has trained. Where words are read in pieces, a new one is spelled. Either way `unknown` tells of
it. Capital letters are small ones to it, and each mark of punctuation is a word.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from sfumato.errors import ConfigError

if TYPE_CHECKING:
    import tokenizers

PADDING, BEGIN, END = range(3)
RESERVED = ("[padding]", "[begin]", "[end]")
"""What the numbers 0, 1 and 2 stand for; in a sentence these are words like any other."""
UNKNOWN = "[unknown]"
"""What the library puts for a word outside its list, and `encode` leaves out."""
WORD_BEGINS = "▁"
"""What stands before each word where words are read in pieces."""
SHORTEST = 3


@dataclass(frozen=True, eq=False)
class Tokenizer:
    """A tokenizer as it was learned.

    library: its rules and vocabulary, of the library `tokenizers`; length: numbers in a row, begin and end
    among them; words: those of the captions that it has numbers for.
    """

    library: "tokenizers.Tokenizer" = field(repr=False)
    length: int
    words: frozenset[str] = field(repr=False)

    def __post_init__(self) -> None:
        if self.length < SHORTEST:
            raise ConfigError(
                f"length counts begin and end, so it is at least {SHORTEST}, not {self.length}."
            )
        # The library does not keep this with its rules: without it "[end]" in a sentence would end it.
        self.library.encode_special_tokens = True

    @property
    def vocabulary(self) -> int:
        """How many different numbers there are: rows hold 0 to vocabulary − 1."""
        return self.library.get_vocab_size()

    def encode(self, texts: Sequence[str]) -> Tensor:
        """Return the rows of sentences: (B, length) int64, of whole words, as many as have room."""
        rows = torch.full((len(texts), self.length), PADDING)
        for row, text in zip(rows, texts, strict=True):
            numbers = [token.number for token in self._fitting(self._tokens(text))]
            row[: len(numbers) + 2] = torch.tensor([BEGIN, *numbers, END])
        return rows

    def unknown(self, text: str) -> tuple[str, ...]:
        """Return the words of a sentence that no caption had, or too few, each once and in small letters."""
        return tuple(dict.fromkeys(word for word in self.split(text) if word not in self.words))

    def hears(self, text: str) -> bool:
        """Return whether anything of a sentence has a number."""
        return bool(self._tokens(text))

    def cut(self, text: str) -> str:
        """Return the part of a sentence for which a row has no room, "" where it has for all."""
        tokens = self._tokens(text)
        kept = self._fitting(tokens)
        return text[kept[-1].end if kept else 0 :].strip() if len(kept) < len(tokens) else ""

    def split(self, text: str) -> list[str]:
        """Return the words of a sentence, in small letters, each mark of punctuation one of them."""
        return words_of(self.library, text)

    def to_json(self) -> str:
        """Return all of it as one JSON text."""
        told = {
            "length": self.length,
            "words": sorted(self.words),
            "tokenizer": json.loads(self.library.to_str()),
        }
        return json.dumps(told, ensure_ascii=False, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "Tokenizer":
        """Read what `to_json` wrote; raise ConfigError for anything else."""
        import tokenizers

        try:
            told = json.loads(text)
            library = tokenizers.Tokenizer.from_str(json.dumps(told["tokenizer"]))
            found = cls(library, int(told["length"]), frozenset(told["words"]))
        except Exception as error:  # the library raises nothing narrower
            raise ConfigError(
                f"this is no tokenizer, or one that was damaged ({error}): take it from a copy of the run, "
                "or train again."
            ) from error
        if [library.token_to_id(name) for name in RESERVED] != [PADDING, BEGIN, END]:
            raise ConfigError(
                "this tokenizer has no begin, end and padding: take one that a run has written."
            )
        return found

    def _tokens(self, text: str) -> list["_Token"]:
        """Return the tokens of the words of which anything is known."""
        found = self.library.encode(text, add_special_tokens=False)
        silent = {self.library.token_to_id(name) for name in (UNKNOWN, WORD_BEGINS)}
        ends = [end for _, end in found.offsets]
        tokens = [_Token(*parts) for parts in zip(found.ids, found.word_ids, ends, strict=True)]
        known = {token.word for token in tokens if token.number not in silent}
        return [token for token in tokens if token.word in known]

    def _fitting(self, tokens: list["_Token"]) -> list["_Token"]:
        """Return the tokens of the first words, as many whole ones as there is room for."""
        room = self.length - 2
        if len(tokens) <= room:
            return tokens
        return [token for token in tokens[:room] if token.word != tokens[room].word]


class _Token(NamedTuple):
    """A token's number, the word it is of, and where in the sentence it ends."""

    number: int
    word: int | None
    end: int


def words_of(library: "tokenizers.Tokenizer", text: str) -> list[str]:
    """Return the words of a sentence as the library parts them."""
    assert library.pre_tokenizer is not None
    assert library.normalizer is not None
    parts = library.pre_tokenizer.pre_tokenize_str(library.normalizer.normalize_str(text))
    return [part.removeprefix(WORD_BEGINS) for part, _ in parts]

"""How a tokenizer is learned from captions: whole words, or pieces of words that often stand together.

*Whole words* are enough where few different ones say everything. *Byte pairs* (Sennrich et al. 2016,
algorithm 1) begin with single letters and join the pair that is most frequent, again and again, so that a
frequent word becomes one token and a rare one a few that other words share. Both come out the same whatever
the order of the captions.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from sfumato.errors import ConfigError
from sfumato.text.tokenizer import RESERVED, UNKNOWN, WORD_BEGINS, Tokenizer, words_of

if TYPE_CHECKING:
    import tokenizers
    from tokenizers.models import Model
    from tokenizers.pre_tokenizers import PreTokenizer
    from tokenizers.trainers import Trainer

LONGEST = 77
"""Tokens in a row where nobody asks for a number and captions are long (Radford et al. 2021, section 2.4)."""
OFTEN = 5
"""Times that a word is seen before a number of its own can be learned to mean anything."""
MOST_RARE = 0.05
"""Share of a text in rarer words from which on they are read in pieces."""


class Learning(Protocol):
    """A way to learn a tokenizer, as a configuration chooses it."""

    def learn(self, captions: Sequence[str]) -> Tokenizer:
        """Learn from captions; raise ConfigError where they hold no word."""
        ...


@dataclass(frozen=True)
class WholeWords:
    """A number for each word.

    most: words at most, the most frequent ones; length: tokens in a row, None for those of the longest
    caption, at most 77.
    """

    most: int = 4096
    length: int | None = None

    def __post_init__(self) -> None:
        if self.most < 1:
            raise ConfigError(f"most is a number of words, at least 1, not {self.most}.")

    def learn(self, captions: Sequence[str]) -> Tokenizer:
        """Learn from captions."""
        from tokenizers import models, pre_tokenizers, trainers

        special = [*RESERVED, UNKNOWN]
        trainer = trainers.WordLevelTrainer(
            vocab_size=self.most + len(special), special_tokens=special, show_progress=False
        )
        library = _parting(models.WordLevel(unk_token=UNKNOWN), pre_tokenizers.BertPreTokenizer())
        return _learned(library, trainer, captions, self.length)


@dataclass(frozen=True)
class BytePairs:
    """A number for each of the pieces that words are made of.

    vocabulary: pieces, single letters among them; the rest as for `WholeWords`.
    """

    vocabulary: int = 2048
    length: int | None = None

    def __post_init__(self) -> None:
        if self.vocabulary < 64:
            raise ConfigError(f"vocabulary has to hold the letters, at least 64, not {self.vocabulary}.")

    def learn(self, captions: Sequence[str]) -> Tokenizer:
        """Learn from captions."""
        from tokenizers import models, pre_tokenizers, trainers

        trainer = trainers.BpeTrainer(
            vocab_size=self.vocabulary,
            special_tokens=list(RESERVED),
            limit_alphabet=self.vocabulary // 2,
            show_progress=False,
        )
        # The library can mark where words end itself, but numbers those letters in an order that is random.
        marked = pre_tokenizers.Metaspace(WORD_BEGINS, prepend_scheme="always", split=False)
        parts = pre_tokenizers.Sequence([pre_tokenizers.BertPreTokenizer(), marked])
        return _learned(_parting(models.BPE(), parts), trainer, captions, self.length)


def usual(captions: Sequence[str]) -> Learning:
    """Return the way that suits captions: pieces where rare words are more than a twentieth of the text."""
    from tokenizers import models, pre_tokenizers

    library = _parting(models.WordLevel(), pre_tokenizers.BertPreTokenizer())
    counts = Counter(word for caption in captions for word in words_of(library, caption))
    rare = sum(count for count in counts.values() if count < OFTEN)
    return BytePairs() if rare > MOST_RARE * counts.total() else WholeWords()


def _parting(model: "Model", parts: "PreTokenizer") -> "tokenizers.Tokenizer":
    """Return a tokenizer that makes letters small, parts words as it is told, and has learned nothing."""
    from tokenizers import Tokenizer, normalizers

    library = Tokenizer(model)
    library.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    library.pre_tokenizer = parts
    return library


def _learned(
    library: "tokenizers.Tokenizer", trainer: "Trainer", captions: Sequence[str], length: int | None
) -> Tokenizer:
    words = {word for caption in captions for word in words_of(library, caption)}
    if not words:
        raise ConfigError(
            "there is no word in any caption to learn a tokenizer from: use data with captions."
        )
    library.train_from_iterator(captions, trainer)
    library.encode_special_tokens = True
    rows = length or min(LONGEST, 2 + max(_lengths(library, captions)))
    return Tokenizer(library, rows, frozenset(word for word in words if _whole(library, word)))


def _lengths(library: "tokenizers.Tokenizer", captions: Iterable[str]) -> list[int]:
    return [len(library.encode(caption)) for caption in captions]


def _whole(library: "tokenizers.Tokenizer", word: str) -> bool:
    """Whether no letter of a word is lost."""
    return "".join(library.encode(word).tokens).removeprefix(WORD_BEGINS) == word

"""Sentences at random: the form first, by its share, then its words, each as likely as the others.

Most sentences are of the forms that say much, since a picture of "a red circle" alone suits many others too.
"""

from collections.abc import Callable, Mapping

import numpy as np

from sfumato.data.scenes.combinations import is_held_out
from sfumato.data.scenes.sentence import Phrase, Sentence
from sfumato.data.scenes.shapes import SHAPES
from sfumato.data.scenes.words import COLOURS, COUNTS, PLACES, RELATIONS, SIZES
from sfumato.errors import unknown
from sfumato.randomness import generator


def rng_for(seed: int, purpose: str) -> np.random.Generator:
    """Return NumPy's generator, which is quicker than torch's for one number at a time."""
    return np.random.default_rng(generator(seed, purpose).initial_seed())


def _one(words: Mapping[str, object], rng: np.random.Generator) -> str:
    return list(words)[int(rng.integers(len(words)))]


def _plain(rng: np.random.Generator) -> Sentence:
    return Sentence(Phrase(_one(SHAPES, rng), _one(COLOURS, rng)))


def _sized(rng: np.random.Generator) -> Sentence:
    return Sentence(Phrase(_one(SHAPES, rng), _one(COLOURS, rng), size=_one(SIZES, rng)))


def _placed(rng: np.random.Generator) -> Sentence:
    return Sentence(Phrase(_one(SHAPES, rng), _one(COLOURS, rng), place=_one(PLACES, rng)))


def _full(rng: np.random.Generator) -> Sentence:
    shape, colour, size, place = (_one(words, rng) for words in (SHAPES, COLOURS, SIZES, PLACES))
    return Sentence(Phrase(shape, colour, size=size, place=place))


def _counted(rng: np.random.Generator) -> Sentence:
    count = int(rng.integers(2, max(COUNTS.values()) + 1))
    return Sentence(Phrase(_one(SHAPES, rng), _one(COLOURS, rng), count))


def _related(rng: np.random.Generator) -> Sentence:
    """Relate things of two colours: then a picture says which is which even where the shapes agree."""
    first, second = (list(COLOURS)[place] for place in rng.permutation(len(COLOURS))[:2])
    shapes = _one(SHAPES, rng), _one(SHAPES, rng)
    return Sentence(Phrase(shapes[0], first), _one(RELATIONS, rng), Phrase(shapes[1], second))


Maker = Callable[[np.random.Generator], Sentence]
FORMS: dict[str, tuple[float, Maker]] = {
    "plain": (0.05, _plain),
    "sized": (0.05, _sized),
    "placed": (0.10, _placed),
    "sized and placed": (0.25, _full),
    "counted": (0.20, _counted),
    "related": (0.35, _related),
}
"""Form -> its share of all sentences, and what makes one."""

_SHARES = np.cumsum([share for share, _ in FORMS.values()])
_MAKERS = [maker for _, maker in FORMS.values()]

KINDS: dict[str, Callable[[Sentence], bool]] = {
    "seen": lambda sentence: not is_held_out(sentence),
    "held-out": is_held_out,
}
"""Kind -> whether a sentence is of it: combinations of words that training shows, or that it never shows."""


def sentence(kind: str, rng: np.random.Generator) -> Sentence:
    """Draw a sentence of a kind. Forms have the same shares in every kind."""
    # The shares' sum may fall short of 1 by rounding.
    make = _MAKERS[min(int(np.searchsorted(_SHARES, rng.random())), len(_MAKERS) - 1)]
    while not KINDS[kind](found := make(rng)):
        pass
    return found


def sentences(kind: str, count: int, seed: int) -> tuple[str, ...]:
    """Return `count` sentences of a kind, "seen" or "held-out", the same for the same seed; some recur.

    Raises ConfigError for another kind.
    """
    if kind not in KINDS:
        raise unknown("kind of sentence", kind, KINDS)
    rng = rng_for(seed, f"sentences/{kind}")
    return tuple(str(sentence(kind, rng)) for _ in range(count))

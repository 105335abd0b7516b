"""A sentence about a scene: its text and its meaning, either from the other.

    sentence = phrase | "a" … relation "a" …
    phrase   = count [size] colour shape ["in the" place]

such as "a small red circle in the top left", "three green circles", "a red circle left of a yellow square".
What a sentence does not mention is left open. A place or a relation goes with single things only.
"""

import re
from dataclasses import dataclass
from difflib import get_close_matches

from sfumato.data.scenes.shapes import SHAPES
from sfumato.data.scenes.words import COLOURS, COUNTS, PLACES, RELATIONS, SIZES, VOCABULARY, plural
from sfumato.errors import ConfigError

EXAMPLE = "a small red circle in the top left"
_COUNT_WORDS = {count: word for word, count in COUNTS.items()}
_SHAPES = {plural(shape, count): shape for shape in SHAPES for count in (1, 2)}


@dataclass(frozen=True)
class Phrase:
    """Some things of one shape and colour; size and place are None where they are left open."""

    shape: str
    colour: str
    count: int = 1
    size: str | None = None
    place: str | None = None

    def __str__(self) -> str:
        words = [_COUNT_WORDS[self.count], self.size, self.colour, plural(self.shape, self.count)]
        where = f" in the {self.place}" if self.place else ""
        return " ".join(word for word in words if word) + where


@dataclass(frozen=True)
class Sentence:
    """One phrase, or two single things and the `relation` of the first to the second."""

    first: Phrase
    relation: str | None = None
    second: Phrase | None = None

    @property
    def phrases(self) -> tuple[Phrase, ...]:
        """The phrases, in the order of the words."""
        return (self.first,) if self.second is None else (self.first, self.second)

    @property
    def slots(self) -> tuple[Phrase, ...]:
        """One phrase for every thing that the sentence is about."""
        return tuple(phrase for phrase in self.phrases for _ in range(phrase.count))

    def __str__(self) -> str:
        return " ".join(str(part) for part in (self.first, self.relation, self.second) if part)


def _any(name: str, words: object) -> str:
    choices = "|".join(sorted(map(re.escape, words), key=len, reverse=True))  # type: ignore[call-overload]
    return f"(?P<{name}>{choices})"


_PHRASE = re.compile(
    f"{_any('count', COUNTS)} (?:{_any('size', SIZES)} )?{_any('colour', COLOURS)} {_any('shape', _SHAPES)}"
    f"(?: in the {_any('place', PLACES)})?"
)
_BETWEEN = re.compile(f" {_any('relation', RELATIONS)} (?={'|'.join(COUNTS)})")


def parse(text: str) -> Sentence:
    """Return the meaning of `text`, whatever its case, spaces and final stop.

    Raises ConfigError where it is no sentence about a scene.
    """
    plain = " ".join(text.lower().rstrip(" .").split())
    between = _BETWEEN.search(plain)
    if between is None:
        return _checked(Sentence(_phrase(plain, text)), plain, text)
    first, second = plain[: between.start()], plain[between.end() :]
    whole = Sentence(_phrase(first, text), between["relation"], _phrase(second, text))
    return _checked(whole, plain, text)


def _phrase(plain: str, text: str) -> Phrase:
    found = _PHRASE.fullmatch(plain)
    if found is None:
        raise _refused(text)
    return Phrase(
        _SHAPES[found["shape"]], found["colour"], COUNTS[found["count"]], found["size"], found["place"]
    )


def _checked(sentence: Sentence, plain: str, text: str) -> Sentence:
    """Refuse "two circle", several things in one place, and relations of more than two placeless things."""
    several = any(phrase.count > 1 and phrase.place for phrase in sentence.phrases)
    related = sentence.relation and any(phrase.count > 1 or phrase.place for phrase in sentence.phrases)
    if str(sentence) != plain or several or related:
        raise _refused(text)
    return sentence


def _refused(text: str) -> ConfigError:
    strange = [word for word in re.findall(r"[^\W_]+", text.lower()) if word not in VOCABULARY]
    near = get_close_matches(strange[0], VOCABULARY, n=1) if strange else []
    hint = f" '{strange[0]}' is not a word of it{f': {near[0]}?' if near else '.'}" if strange else ""
    return ConfigError(
        f"'{text}' is no sentence about a scene: say one such as '{EXAMPLE}', 'two red circles' or "
        f"'a red circle left of a yellow square'.{hint}"
    )

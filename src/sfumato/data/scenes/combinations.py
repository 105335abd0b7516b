"""Which words never meet in training, so that putting known words together anew can be tested.

With colours, shapes and places numbered in the order of their lists, never shown are

    colour s + 3 with shape s              blue circles, purple squares, black triangles, red crosses
    colour c in place c + 1 (mod 5)        such as "a red circle in the top right"
    colour c related to colour c + 2       such as "a red circle left of a green square", but not the reverse

(colours modulo 6). Every word is seen, each shape in five colours, each colour in four places and before four
other colours. The second and third are about what is said: a red circle that no place is mentioned for may
well lie in the top right.
"""

from sfumato.data.scenes.sentence import Phrase, Sentence
from sfumato.data.scenes.shapes import SHAPES
from sfumato.data.scenes.words import COLOURS, PLACES

_COLOURS, _SHAPES, _PLACES = list(COLOURS), list(SHAPES), list(PLACES)
SHAPE_STEP, PLACE_STEP, RELATION_STEP = 3, 1, 2


def is_held_out(sentence: Sentence) -> bool:
    """Return whether `sentence` holds a combination of words that is never shown in training."""
    pairs = any(_shape_is(phrase) or _place_is(phrase) for phrase in sentence.phrases)
    return pairs or _relation_is(sentence)


def _shape_is(phrase: Phrase) -> bool:
    return _COLOURS.index(phrase.colour) == (_SHAPES.index(phrase.shape) + SHAPE_STEP) % len(_COLOURS)


def _place_is(phrase: Phrase) -> bool:
    excluded = _PLACES[(_COLOURS.index(phrase.colour) + PLACE_STEP) % len(_PLACES)]
    return phrase.place == excluded


def _relation_is(sentence: Sentence) -> bool:
    if sentence.second is None:
        return False
    first, second = (_COLOURS.index(phrase.colour) for phrase in sentence.phrases)
    return second == (first + RELATION_STEP) % len(_COLOURS)

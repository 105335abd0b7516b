"""Sentences: every one is read as what it says, and nothing else is read as one."""

import itertools

import pytest

from sfumato.data.scenes import KINDS, Phrase, Sentence, is_held_out, parse, sentences
from sfumato.data.scenes.grammar import FORMS
from sfumato.data.scenes.shapes import SHAPES
from sfumato.data.scenes.words import COLOURS, PLACES, RELATIONS, SIZES, VOCABULARY
from sfumato.errors import ConfigError

SINGLE = [
    Phrase(shape, colour, 1, size, place)
    for shape, colour, size, place in itertools.product(SHAPES, COLOURS, (None, *SIZES), (None, *PLACES))
]
COUNTED = [
    Phrase(shape, "red", count, size) for shape in SHAPES for count in (2, 3) for size in (None, "large")
]
RELATED = [
    Sentence(Phrase(shapes[0], first, size="small"), relation, Phrase(shapes[1], second))
    for shapes in itertools.product(SHAPES, repeat=2)
    for first, second in itertools.permutations(COLOURS, 2)
    for relation in RELATIONS
]


def test_text_and_meaning_are_each_the_other() -> None:
    meanings = [*map(Sentence, SINGLE), *map(Sentence, COUNTED), *RELATED]
    texts = [str(meaning) for meaning in meanings]
    assert [parse(text) for text in texts] == meanings
    assert len(set(texts)) == len(texts)
    assert {word for text in texts for word in text.split()} == VOCABULARY


def test_a_sentence_by_hand() -> None:
    assert parse("  A small RED circle in the top left. ") == Sentence(
        Phrase("circle", "red", 1, "small", "top left")
    )
    assert parse("three black crosses") == Sentence(Phrase("cross", "black", 3))
    related = parse("a red circle left of a blue square")
    assert (related.relation, related.second) == ("left of", Phrase("square", "blue"))
    assert len(related.slots) == 2


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("a red circel", "'circel' is not a word of it: circle?"),
        ("an orange dog", "is not a word of it"),
        ("red circle", "say one such as"),
        ("two red circle", "say one such as"),
        ("a red circles", "say one such as"),
        ("two red circles in the centre", "say one such as"),
        ("two red circles above a blue square", "say one such as"),
        ("a red circle in the centre above a blue square", "say one such as"),
        ("a red circle left of", "say one such as"),
        ("a circle red", "say one such as"),
        ("", "say one such as"),
    ],
)
def test_what_is_no_sentence_is_refused(text: str, hint: str) -> None:
    with pytest.raises(ConfigError, match="no sentence about a scene") as refused:
        parse(text)
    assert hint in str(refused.value)


@pytest.mark.parametrize("kind", KINDS)
def test_sentences_of_a_kind_follow_the_seed(kind: str) -> None:
    some = sentences(kind, 300, seed=1)
    assert some == sentences(kind, 300, seed=1) != sentences(kind, 300, seed=2)
    assert {is_held_out(parse(text)) for text in some} == {kind == "held-out"}
    # Each form has one share in both kinds; of 300 sentences it is met within 4 standard deviations.
    related = sum(parse(text).relation is not None for text in some)
    share = FORMS["related"][0]
    assert abs(related - 300 * share) <= 4 * (300 * share * (1 - share)) ** 0.5


def test_an_unknown_kind_is_named() -> None:
    with pytest.raises(ConfigError, match=r"Unknown kind of sentence 'sean'. Did you mean 'seen'"):
        sentences("sean", 1, seed=0)


def test_forms_share_everything() -> None:
    assert sum(share for share, _ in FORMS.values()) == pytest.approx(1)


def test_four_pairs_are_held_out_and_leave_every_word_most_partners() -> None:
    held = {(p.colour, p.shape) for p in SINGLE if is_held_out(Sentence(Phrase(p.shape, p.colour)))}
    assert held == {("blue", "circle"), ("purple", "square"), ("black", "triangle"), ("red", "cross")}
    placed = {
        (p.colour, p.place)
        for p in SINGLE
        if p.place and (p.colour, p.shape) not in held and is_held_out(Sentence(p))
    }
    assert len(placed) == len({colour for colour, _ in placed}) == len(COLOURS)
    assert {place for _, place in placed} == set(PLACES)


def test_a_relation_is_held_out_one_way_only() -> None:
    assert is_held_out(parse("a red circle left of a green square"))
    assert is_held_out(parse("a red square above a green circle"))
    assert not is_held_out(parse("a green square left of a red circle"))
    assert is_held_out(parse("a yellow square left of a blue circle"))
    assert is_held_out(parse("two blue circles"))

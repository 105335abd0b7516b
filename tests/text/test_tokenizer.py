"""Tokenizers: what a row holds, what is told of the rest, and that a saved one is the same."""

import json
import random

import pytest
import torch

from sfumato.errors import ConfigError
from sfumato.text.learning import LONGEST, BytePairs, Learning, WholeWords, usual
from sfumato.text.tokenizer import BEGIN, END, PADDING, Tokenizer

SCENES = [
    f"A {size} {colour} {shape}, {where}."
    for size in ("small", "large")
    for colour in ("red", "blue", "green")
    for shape in ("circle", "square")
    for where in ("left of a red square", "in the centre")
]
EVERY = pytest.mark.parametrize("learning", [WholeWords(), BytePairs(64)], ids=["words", "pairs"])


def read(tokenizer: Tokenizer, text: str) -> str:
    """Return a sentence as its row has it."""
    row = [token for token in tokenizer.encode([text])[0].tolist() if token > END]
    tokens = [tokenizer.library.id_to_token(token) for token in row]
    pieces = any("▁" in str(token) for token in tokens)
    return ("".join if pieces else " ".join)(map(str, tokens)).replace("▁", " ").strip()


@EVERY
def test_a_row_is_begin_the_words_end_and_padding(learning: Learning) -> None:
    tokenizer = learning.learn(SCENES)
    rows = tokenizer.encode([*SCENES, ""])
    assert rows.dtype == torch.int64
    assert rows.shape == (len(SCENES) + 1, tokenizer.length)
    assert 0 <= int(rows.min()) <= int(rows.max()) < tokenizer.vocabulary
    for row in rows.tolist():
        last = row.index(END)
        assert row[0] == BEGIN
        assert row[last + 1 :] == [PADDING] * (len(row) - last - 1)
        assert not {PADDING, BEGIN, END} & set(row[1:last])
    assert rows[-1].tolist() == [BEGIN, END] + [PADDING] * (tokenizer.length - 2)
    # The longest caption just fits.
    assert any(row[-1] == END for row in rows.tolist())


@EVERY
def test_captions_are_read_whole_and_told_apart(learning: Learning) -> None:
    tokenizer = learning.learn(SCENES)
    for text in SCENES:
        assert read(tokenizer, text) == " ".join(tokenizer.split(text))
        assert tokenizer.unknown(text) == ()
        assert tokenizer.cut(text) == ""
    assert len(tokenizer.encode(SCENES).unique(dim=0)) == len(SCENES)


@EVERY
def test_capitals_and_spaces_say_nothing_and_rows_do_not_know_their_neighbours(learning: Learning) -> None:
    tokenizer = learning.learn(SCENES)
    plain, odd = tokenizer.encode(["a red circle.", "  A  RED\tCircle . "])
    assert torch.equal(plain, odd)
    together = tokenizer.encode(SCENES)
    assert torch.equal(torch.cat([tokenizer.encode([text]) for text in SCENES]), together)


@EVERY
def test_unknown_words_are_told_once_each(learning: Learning) -> None:
    tokenizer = learning.learn(SCENES)
    said = "A Purple circle left of a purple hexagon!"
    assert tokenizer.unknown(said) == ("purple", "hexagon", "!")


def test_unknown_words_are_left_out_and_new_ones_are_spelled() -> None:
    words, pairs = WholeWords().learn(SCENES), BytePairs(64).learn(SCENES)
    assert torch.equal(*words.encode(["a purple circle", "a circle"]))
    assert read(pairs, "a blurred circle") == "a blurred circle"
    assert torch.equal(*pairs.encode(["a Ω circle", "a circle"]))  # a letter that no caption has


@EVERY
def test_what_does_not_fit_is_told(learning: Learning) -> None:
    tokenizer = learning.learn(SCENES)
    text = " ".join(["A red circle"] * 30)
    rest = tokenizer.cut(text)
    assert text.endswith(rest)
    kept = text.removesuffix(rest)
    row = tokenizer.encode([text])
    assert torch.equal(row, tokenizer.encode([kept]))
    assert row[0, -1] == END
    assert tokenizer.cut(kept) == ""
    # A word with nothing to know of it takes no room.
    assert tokenizer.cut("Ω " * 100) == ""


@EVERY
def test_a_length_that_is_asked_for_holds(learning: Learning) -> None:
    short = type(learning)(64, length=4).learn(SCENES)  # type: ignore[call-arg]
    assert short.encode(["a red circle"]).shape == (1, 4)
    assert WholeWords(length=4).learn(SCENES).cut("Red  circle, SQUARE.") == ", SQUARE."
    long = type(learning)(64).learn(["word " * 200])  # type: ignore[call-arg]
    assert long.length == LONGEST


@EVERY
@pytest.mark.parametrize("text", ["[end] red", "[padding] red", "[begin]", "[unknown]", "<\\w>"])
def test_nobody_can_type_the_reserved_tokens(learning: Learning, text: str) -> None:
    for tokenizer in (saved := learning.learn(SCENES), Tokenizer.from_json(saved.to_json())):
        row = tokenizer.encode([text])[0].tolist()
        assert row.count(BEGIN) == row.count(END) == 1
        assert PADDING not in row[: row.index(END)]
        assert tokenizer.unknown(text)


@EVERY
def test_learning_is_the_same_each_time_and_in_any_order(learning: Learning) -> None:
    mixed = SCENES.copy()
    random.Random(0).shuffle(mixed)
    assert learning.learn(mixed).to_json() == learning.learn(SCENES).to_json()


@EVERY
def test_a_saved_one_is_the_same(learning: Learning) -> None:
    tokenizer = learning.learn(SCENES)
    again = Tokenizer.from_json(tokenizer.to_json())
    texts = [*SCENES, "a PURPLE circle", "straße " * 40]
    assert torch.equal(again.encode(texts), tokenizer.encode(texts))
    assert [again.unknown(text) for text in texts] == [tokenizer.unknown(text) for text in texts]
    assert [again.cut(text) for text in texts] == [tokenizer.cut(text) for text in texts]
    assert (again.vocabulary, again.length) == (tokenizer.vocabulary, tokenizer.length)
    assert again.to_json() == tokenizer.to_json()


def test_only_the_most_frequent_words_get_a_number() -> None:
    tokenizer = WholeWords(most=2).learn(["red circle", "red circle", "red square"])
    assert tokenizer.words == {"red", "circle"}
    assert tokenizer.vocabulary == 2 + 4  # three reserved ones, and the library's word for others
    assert tokenizer.unknown("red square") == ("square",)


def test_byte_pairs_join_what_stands_together_and_stay_within_their_number() -> None:
    tokenizer = BytePairs(64, length=9).learn(
        ["low lower lowest"] * 9 + [f"{letter}" for letter in "abcdfghijk"]
    )
    assert tokenizer.vocabulary <= 64
    # By hand: ▁·l, ▁l·o and ▁lo·w are the most frequent pairs, three words a caption.
    assert int((tokenizer.encode(["low"]) > END).sum()) == 1
    assert int((tokenizer.encode(["wol"]) > END).sum()) == 4


def test_rare_words_are_read_in_pieces() -> None:
    assert usual(SCENES) == WholeWords()
    assert usual([f"{text} seen{number}" for number, text in enumerate(SCENES)]) == BytePairs()


def damaged(**changes: object) -> str:
    return json.dumps({**json.loads(WholeWords().learn(SCENES).to_json()), **changes})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[1]",
        damaged(length="many"),
        damaged(length=1),
        damaged(tokenizer={}),
        damaged(words=None),
        WholeWords().learn(SCENES).to_json()[:-30],
    ],
)
def test_damage_is_told(text: str) -> None:
    with pytest.raises(ConfigError, match="tokenizer"):
        Tokenizer.from_json(text)


def test_a_tokenizer_of_another_kind_is_told() -> None:
    other = WholeWords().learn(SCENES).to_json().replace("[begin]", "[cls]")
    with pytest.raises(ConfigError, match="no begin"):
        Tokenizer.from_json(other)


def test_impossible_wishes_are_refused() -> None:
    with pytest.raises(ConfigError, match="most"):
        WholeWords(most=0)
    with pytest.raises(ConfigError, match="vocabulary"):
        BytePairs(10)
    with pytest.raises(ConfigError, match="length"):
        WholeWords(length=2).learn(SCENES)
    for captions in ([], ["", "  "]):
        with pytest.raises(ConfigError, match="no word"):
            WholeWords().learn(captions)

"""Retrieval: by hand, where nothing or everything is known, and what equal captions and ties count for."""

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from sfumato.errors import DataError
from sfumato.metrics.retrieval import Retrieval, dealt, found, groups, nearer, retrieval, texts_of


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_three_questions_by_hand() -> None:
    similarities = torch.tensor([[0.9, 0.1, 0.2], [0.8, 0.7, 0.1], [0.5, 0.4, 0.3]])
    right = torch.eye(3, dtype=torch.bool)
    assert found(similarities, right, 1).tolist() == [True, False, False]
    assert found(similarities, right, 2).tolist() == [True, True, False]
    assert found(similarities, right, 3).tolist() == [True, True, True]


def test_any_right_answer_counts_and_a_tie_does_not() -> None:
    similarities = torch.tensor([[0.5, 0.9, 0.1], [0.5, 0.5, 0.1], [0.3, 0.2, 0.1]])
    right = torch.tensor([[True, True, False], [True, False, False], [False, False, False]])
    assert found(similarities, right, 1).tolist() == [True, False, False]
    # No answer is right to the third question, however many may be given.
    assert found(similarities, right, 3).tolist() == [True, True, False]


def test_an_encoder_that_says_one_thing_finds_nothing() -> None:
    among = groups([str(number) for number in range(40)], 10, generator())
    for k in (1, 9):
        result = retrieval(torch.ones(40, 4), torch.ones(40, 4), among, k)
        assert (result.captions, result.pictures) == (0, 0)


def test_codes_that_are_not_finite_find_nothing() -> None:
    among, broken = groups([str(number) for number in range(40)], 10, generator()), drawn(40, 4)
    broken[::2] = torch.nan
    result = retrieval(broken, broken, among)
    assert (result.captions, result.pictures) == (0, 0)
    assert not found(torch.full((3, 3), torch.nan), torch.eye(3, dtype=torch.bool), 1).any()


def test_codes_that_agree_find_all_and_strangers_find_what_chance_does() -> None:
    among = [rows for seed in range(20) for rows in groups([str(n) for n in range(500)], 50, generator(seed))]
    codes = drawn(500, 16)
    # Small or large, moved a little or not: only the nearest counts.
    alike = retrieval(codes, 7 * codes + 0.1 * drawn(500, 16, seed=1), among)
    assert (alike.captions, alike.pictures) == (1, 1)
    strangers = retrieval(codes, drawn(500, 16, seed=2), among, k=5)
    # 500 different questions each way, asked among several fifties: the deviation is at most that of 500.
    assert strangers.captions == pytest.approx(strangers.chance, abs=4 * (0.1 * 0.9 / 500) ** 0.5)
    assert strangers.pictures == pytest.approx(strangers.chance, abs=4 * (0.1 * 0.9 / 500) ** 0.5)
    assert (strangers.chance, strangers.n, strangers.asked) == (0.1, 50, 10_000)


def test_each_direction_is_asked_for_itself() -> None:
    """Two pictures near one caption: one of them misses its own, and each caption finds its picture."""
    pictures = torch.tensor([[1.0, 0.0, 0.0], [0.9, 0.1, 0.2], [0.0, 0.0, 1.0]])
    texts = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    result = retrieval(pictures, texts, [torch.arange(3)])
    assert result.captions == pytest.approx(2 / 3)
    assert result.pictures == 1


def test_how_many_others_are_farther_by_hand() -> None:
    answers = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0], [-1.0, 0.0]])
    asking = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 2.0], [-1.0, 0.0]])
    # Each is nearest to its own but the second, of whose three rivals one is nearer.
    assert nearer(asking, answers, "abcd") == pytest.approx((1 + 2 / 3 + 1 + 1) / 4)
    # The nearer one has the same caption now, and is no rival: two rivals are left to each of both.
    assert nearer(asking, answers, "aacd") == 1
    # What lies in one point is no nearer to anything.
    assert nearer(torch.ones(4, 2), torch.ones(4, 2), "abcd") == 0
    # Of what is unrelated half is nearer; over 400 questions chance moves that by 0.29/√400 = 0.014.
    names = [str(number) for number in range(400)]
    assert nearer(drawn(400, 8), drawn(400, 8, seed=1), names) == pytest.approx(0.5, abs=0.06)
    with pytest.raises(DataError, match="all captions are equal"):
        nearer(asking, answers, "aaaa")


def test_more_answers_never_find_less() -> None:
    pictures, texts = drawn(60, 8), drawn(60, 8) + drawn(60, 8, seed=1)
    among = groups([str(number) for number in range(60)], 20, generator())
    shares = [retrieval(pictures, texts, among, k).captions for k in range(1, 21)]
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert 0.05 < shares[0] < 1


def test_the_captions_of_a_group_all_differ() -> None:
    captions = [str(number % 25) for number in range(90)]
    among = groups(captions, 10, generator())
    assert [len(rows) for rows in among] == [10, 10]
    said = [captions[place] for rows in among for place in rows]
    assert len(set(said)) == 20  # and no caption is asked about twice
    taken = {
        int(place) for seed in range(50) for rows in groups(captions, 10, generator(seed)) for place in rows
    }
    assert taken == set(range(90))
    assert all(torch.equal(a, b) for a, b in zip(among, groups(captions, 10, generator()), strict=True))


@pytest.mark.parametrize(("captions", "n"), [(["a", "a", "b"], 3), ([], 1), (["a"], 0)])
def test_too_few_captions_are_refused(captions: list[str], n: int) -> None:
    with pytest.raises(DataError, match="different captions"):
        groups(captions, n, generator())


def test_examples_are_dealt_out_five_times_and_their_words_read_in_order() -> None:
    """700 examples of 300 captions, by codes of what the captions say and others moved on by one."""
    said = [f"number {number % 300}" for number in range(700)]

    def read(captions: Sequence[str]) -> Tensor:
        return torch.eye(300)[[int(caption.split()[1]) for caption in captions]]

    codes = torch.eye(300)[torch.arange(700) % 300]
    assert torch.equal(texts_of(read, said), codes)
    assert retrieval(codes, texts_of(read, said), dealt(said)) == Retrieval(1.0, 1.0, 1, 100, 5 * 300)
    assert retrieval(codes, codes, dealt(said, 1000)).n == 300
    late = retrieval(codes, codes.roll(1, 1), dealt(said))
    assert (late.captions, late.pictures) == (0, 0)
    with pytest.raises(DataError, match="different captions"):
        dealt([])


def test_a_table_says_of_how_many() -> None:
    codes = torch.eye(10)
    rows = dict(retrieval(codes, codes, [torch.arange(10)], k=2).rows())
    assert rows["a picture's caption among the nearest 2"] == "100.0% (of 10, chance 20.0%, 10 asked)"
    assert len(rows) == 2

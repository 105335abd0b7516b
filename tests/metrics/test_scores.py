"""Scores of samples whose quality is known: real ones, noise, copies, one class only."""

import json
import math

import pytest
import torch

from sfumato.data import Dataset, Split, load_data
from sfumato.data.store import MemoryStore
from sfumato.errors import ConfigError, DataError
from sfumato.metrics import Spread, evaluate, judge_for
from sfumato.metrics.reading import evenness, reading
from sfumato.randomness import generator


def grey_noise(count):
    draws = generator(0, "noise")
    return torch.randint(256, (count, 1, 8, 8), generator=draws, dtype=torch.uint8)


@pytest.fixture(scope="module")
def held_out(digits):
    return digits.held_out.batch(torch.arange(len(digits.held_out)))


@pytest.fixture(scope="module")
def real(digits, judge, held_out):
    return evaluate(*held_out, digits, judge, compared=100)


def test_real_examples_score_like_real_examples(real, judge):
    assert 0.5 < real.ratio.mean < 1.7
    assert real.read_as_asked == pytest.approx(judge.accuracy)
    assert real.classes_covered == 1
    assert 0.8 < real.memorisation_ratio < 1.25
    assert real.exact_copies == 0
    assert len(real.neighbours) == len(real.distances) == 100


def test_the_ratio_is_that_of_the_pairs(real):
    assert real.size == 180
    assert real.ratio.mean == pytest.approx(real.frechet.mean / real.floor.mean, rel=0.2)
    assert real.floor.std > 0


def test_noise_is_far_from_real(digits, judge, real):
    scores = evaluate(grey_noise(1000), None, digits, judge)
    assert scores.size == 898
    assert scores.ratio.mean > 20 * real.ratio.mean
    assert scores.read_as_asked is None
    assert scores.read_per_class == {}
    assert scores.memorisation_ratio > 1.5


def test_one_class_only_covers_one_of_ten(digits, judge):
    threes = digits.train.store.take((digits.train.labels == 3).nonzero()[:100, 0])
    asked = torch.full((len(threes),), 3)
    scores = evaluate(threes, asked, digits, judge)
    assert scores.classes_covered == pytest.approx(0.1)
    assert list(scores.read_per_class) == ["3"]
    assert scores.read_as_asked > 0.95
    assert evaluate(threes, asked + 1, digits, judge).read_as_asked < 0.05


def test_copies_of_training_examples_are_called_out(digits, judge):
    scores = evaluate(digits.train.store.take(torch.arange(200)), None, digits, judge)
    assert scores.memorisation_ratio == 0
    assert scores.exact_copies == 64
    assert scores.neighbours == tuple(range(64))
    assert any("copies" in warning for warning in scores.warnings)
    assert any("repeating" in warning for warning in scores.warnings)


def test_few_samples_are_warned_of(digits, judge, held_out, real):
    few = evaluate(held_out[0][:20], held_out[1][:20], digits, judge)
    assert few.size == 20
    assert any("20 samples for 64 features" in warning for warning in few.warnings)
    assert any("by chance" in warning for warning in few.warnings)
    assert real.warnings == ()


def test_same_seed_same_scores(digits, judge, held_out, real):
    assert evaluate(*held_out, digits, judge, compared=100) == real
    assert evaluate(*held_out, digits, judge, seed=1).floor != real.floor


def test_dictionary_is_json_and_carries_what_repeats_it(real):
    read = json.loads(json.dumps(real.to_dict(), allow_nan=False))
    assert read["seed"] == 0
    assert read["samples"] == 180
    assert read["real"] == 1797
    assert read["ratio"]["mean"] == pytest.approx(real.ratio.mean, rel=1e-5)
    assert read["neighbours"] == list(real.neighbours)


def test_rows_show_the_floor_and_the_judges_own_accuracy(real):
    rows = dict(real.rows())
    assert str(real.floor) in rows["floor, real against real"]
    assert f"{real.judge_accuracy:.1%}" in rows["judge's accuracy, held-out"]
    assert "±" in rows["ratio, 1 is as good as real"]
    assert all(isinstance(value, str) for value in rows.values())


def test_vectors_are_scored_too():
    ring = load_data("ring")
    judge = judge_for(ring)
    good = evaluate(*ring.held_out.batch(torch.arange(1000)), ring, judge)
    shifted = evaluate(ring.held_out.store.take(torch.arange(1000)) + 0.5, None, ring, judge)
    assert good.ratio.mean < 5
    assert shifted.ratio.mean > 20 * good.ratio.mean
    assert good.classes_covered == 1
    assert good.read_as_asked > 0.95


def test_examples_that_are_all_the_same_have_no_ratio():
    same = Split(MemoryStore(torch.full((40, 3), 0.1)), None)
    flat = Dataset("flat", "drawn", same, same)
    scores = evaluate(torch.full((10, 3), 0.2), None, flat, judge_for(flat))
    assert scores.ratio is None
    assert dict(scores.rows())["ratio, 1 is as good as real"] == "not defined"
    json.dumps(scores.to_dict(), allow_nan=False)


def test_coverage_goes_by_the_rates_in_training(bars):
    rates = torch.bincount(bars.train.labels) / len(bars.train)
    least = math.ceil(0.1 * float(rates[1]) * 200)
    read = torch.zeros(200, dtype=torch.int64)
    read[:least] = 1
    assert reading(read, None, bars).covered == 1
    read[0] = 0
    assert reading(read, None, bars).covered == 0.5


@pytest.mark.parametrize(
    ("samples", "asked", "words"),
    [
        (torch.zeros(4, 3, 8, 8, dtype=torch.uint8), None, "3×8×8.*1×8×8"),
        (torch.zeros(4, 1, 8, 8), None, "uint8"),
        (torch.zeros(0, 1, 8, 8, dtype=torch.uint8), None, "no samples"),
        (torch.zeros(1, 1, 8, 8, dtype=torch.uint8), None, "at least 2"),
        (
            torch.zeros(4, 1, 8, 8, dtype=torch.uint8),
            torch.zeros(3, dtype=torch.int64),
            "4 samples but 3 labels",
        ),
        (torch.zeros(4, 1, 8, 8, dtype=torch.uint8), torch.full((4,), 10), "0 to 9"),
    ],
)
def test_unfit_samples_are_refused(digits, judge, samples, asked, words):
    with pytest.raises(DataError, match=words):
        evaluate(samples, asked, digits, judge)


def test_settings_out_of_range_are_refused(digits, judge):
    with pytest.raises(ConfigError, match="splits"):
        evaluate(grey_noise(4), None, digits, judge, splits=1)
    with pytest.raises(ConfigError, match="compared"):
        evaluate(grey_noise(4), None, digits, judge, compared=501)


def test_spread_is_the_sample_standard_deviation():
    assert Spread.of([1.0, 2.0, 3.0]) == Spread(2.0, 1.0)


def test_evenness_is_the_entropy_over_its_maximum() -> None:
    assert evenness(torch.tensor([7, 7, 7, 7])) == pytest.approx(1, abs=1e-12)
    assert evenness(torch.tensor([0, 9, 0])) == 0
    # Of shares 1/2, 1/4, 1/4 it is 3/2 bits of log2 3.
    assert evenness(torch.tensor([2, 1, 1])) == pytest.approx(1.5 / math.log2(3), abs=1e-12)
    assert evenness(torch.tensor([5])) == 1

"""Classes asked for in the data's proportions: what a perfect model then scores."""

import numpy as np
import pytest
import torch

from sfumato.data import Dataset, Split, load_data
from sfumato.data.store import MemoryStore
from sfumato.errors import DataError
from sfumato.metrics import classes_to_ask, evaluate, judge_for
from sfumato.metrics.asking import in_proportion
from sfumato.randomness import generator


@pytest.fixture(scope="module")
def uneven():
    """4,000 vectors, nine in ten 'left', around (−3, 0), the others 'right', around (3, 0)."""
    draws = generator(0, "uneven")
    labels = (torch.rand(4000, generator=draws) < 0.1).long()
    centres = torch.tensor([[-3.0, 0.0], [3.0, 0.0]])[labels]
    vectors = centres + torch.randn(4000, 2, generator=draws)
    rows = torch.arange(4000).split([3600, 400])
    train, held_out = (Split(MemoryStore(vectors, part), labels[part]) for part in rows)
    return Dataset("uneven", "drawn", train, held_out, ("left", "right"))


def perfect(asked: list[str]) -> torch.Tensor:
    """Return what a model draws that has learned every class of `uneven` exactly."""
    centres = torch.tensor([[-3.0, 0.0] if name == "left" else [3.0, 0.0] for name in asked])
    return centres + torch.randn(len(asked), 2, generator=generator(1, "perfect"))


def test_equally_common_classes_take_turns():
    assert in_proportion(np.full(10, 7), 25) == [i % 10 for i in range(25)]


@pytest.mark.parametrize("counts", [(990, 10), (1, 2, 3, 4), (5923, 6742, 5958, 5421, 0, 17), (1,)])
def test_no_class_is_ever_a_whole_sample_ahead_of_its_share(counts):
    shares = np.array(counts) / sum(counts)
    found = np.cumsum(np.eye(len(counts))[in_proportion(np.array(counts), 3000)], axis=0)
    ahead = found - shares * np.arange(1, 3001)[:, None]
    assert ahead.max() < 1
    assert np.abs(ahead[-1]).max() < 1


def test_a_class_without_examples_is_never_asked_for():
    assert 1 not in in_proportion(np.array([3, 0, 2]), 100)


def test_a_perfect_model_scores_at_the_floor_in_proportion_and_nowhere_near_it_in_turns(uneven):
    """Nine to one against one to one moves the mean by 2.4, whose square is the distance's first term."""
    judge = judge_for(uneven)
    asked = classes_to_ask(uneven, 2000)
    assert evaluate(perfect(asked), None, uneven, judge).frechet.mean < 0.05
    turns = list(uneven.classes) * 1000
    assert evaluate(perfect(turns), None, uneven, judge).frechet.mean > 2.4**2


def test_both_splits_are_counted(uneven):
    whole = torch.cat([uneven.train.labels, uneven.held_out.labels])
    assert classes_to_ask(uneven, 4000).count("right") == int(whole.sum())


def test_data_without_labels_has_no_class_to_ask_for():
    plain = load_data("digits")
    bare = Dataset("bare", "drawn", Split(plain.train.store, None), Split(plain.held_out.store, None), ())
    with pytest.raises(DataError, match="no labels"):
        classes_to_ask(bare, 10)

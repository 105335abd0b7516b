"""A condition: dropping adds up, and rows stay together."""

import torch

from sfumato.condition import Condition

CONDITION = Condition.of(label=torch.arange(4), text=torch.arange(8).reshape(4, 2))


def test_a_new_condition_drops_nothing():
    assert CONDITION.dropped.tolist() == [False] * 4
    assert len(CONDITION) == 4


def test_drops_add_up_and_leave_the_first_condition_alone():
    once = CONDITION.drop(torch.tensor([True, False, False, False]))
    twice = once.drop(torch.tensor([False, False, True, False]))
    assert twice.dropped.tolist() == [True, False, True, False]
    assert once.dropped.tolist() == [True, False, False, False]
    assert not bool(CONDITION.dropped.any())
    assert twice.values is CONDITION.values


def test_drop_all_hides_every_row_and_keeps_the_values():
    free = CONDITION.drop_all()
    assert free.dropped.tolist() == [True] * 4
    assert torch.equal(free.values["label"], torch.arange(4))
    assert free.dropped.dtype == torch.bool


def test_rows_of_values_and_mask_go_together():
    mixed = CONDITION.drop(torch.tensor([False, True, False, True]))
    for rows, expected in ((slice(1, 3), [1, 2]), (torch.tensor([3, 0]), [3, 0])):
        part = mixed[rows]
        assert part.values["label"].tolist() == expected
        assert part.values["text"].tolist() == [[2 * i, 2 * i + 1] for i in expected]
        assert part.dropped.tolist() == [i % 2 == 1 for i in expected]
    assert len(mixed[1:3]) == 2


def test_moving_keeps_everything():
    moved = CONDITION.drop(torch.tensor([True, False, True, False])).to("cpu")
    assert moved.dropped.tolist() == [True, False, True, False]
    assert set(moved.values) == {"label", "text"}
    assert CONDITION.to("meta").dropped.device.type == "meta"
    assert CONDITION.to("meta").values["text"].device.type == "meta"

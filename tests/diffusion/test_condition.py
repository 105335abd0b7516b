"""A condition: dropping adds up, and rows stay together."""

from dataclasses import replace

import torch

from sfumato.condition import Condition, joined

CONDITION = Condition.of(label=torch.arange(4), text=torch.arange(8).reshape(4, 2))


def test_a_new_condition_drops_nothing():
    assert all(mask.tolist() == [False] * 4 for mask in CONDITION.dropped.values())
    assert len(CONDITION) == 4


def test_drops_add_up_and_leave_the_first_condition_alone():
    once = CONDITION.drop(torch.tensor([True, False, False, False]))
    twice = once.drop(torch.tensor([False, False, True, False]))
    for name in ("label", "text"):
        assert twice.dropped[name].tolist() == [True, False, True, False]
        assert once.dropped[name].tolist() == [True, False, False, False]
        assert not bool(CONDITION.dropped[name].any())
    assert twice.values is CONDITION.values


def test_drop_all_hides_every_row_and_keeps_the_values():
    free = CONDITION.drop_all()
    assert all(mask.tolist() == [True] * 4 for mask in free.dropped.values())
    assert torch.equal(free.values["label"], torch.arange(4))
    assert free.dropped["text"].dtype == torch.bool


def test_one_condition_is_hidden_and_the_other_stays():
    half = CONDITION.drop(torch.tensor([True, True, False, False]), ("text",))
    assert half.dropped["text"].tolist() == [True, True, False, False]
    assert not bool(half.dropped["label"].any())


def test_what_is_always_told_is_never_hidden():
    told = replace(CONDITION, always=frozenset({"text"}))
    assert told.names == ("label",)
    for hidden in (
        told.drop_all(),
        told.drop(torch.ones(4, dtype=torch.bool)),
        told.without(("label", "text")),
    ):
        assert bool(hidden.dropped["label"].all())
        assert not bool(hidden.dropped["text"].any())


def test_guidance_leads_away_from_the_stand_in_where_there_is_one():
    negative = replace(CONDITION, instead={"text": torch.full((4, 2), 9)})
    away = negative.without(("label", "text"))
    assert away.values["text"].tolist() == [[9, 9]] * 4
    assert not bool(away.dropped["text"].any())
    assert bool(away.dropped["label"].all())
    assert not away.instead
    assert torch.equal(negative.drop_all().values["text"], CONDITION.values["text"])
    assert bool(negative.drop_all().dropped["text"].all())


def test_joined_rows_stand_one_after_another():
    both = joined((CONDITION, CONDITION.drop_all()))
    assert both.values["label"].tolist() == [0, 1, 2, 3] * 2
    assert both.dropped["text"].tolist() == [False] * 4 + [True] * 4


def test_rows_of_values_and_mask_go_together():
    mixed = CONDITION.drop(torch.tensor([False, True, False, True]))
    for rows, expected in ((slice(1, 3), [1, 2]), (torch.tensor([3, 0]), [3, 0])):
        part = mixed[rows]
        assert part.values["label"].tolist() == expected
        assert part.values["text"].tolist() == [[2 * i, 2 * i + 1] for i in expected]
        assert part.dropped["label"].tolist() == [i % 2 == 1 for i in expected]
    assert len(mixed[1:3]) == 2


def test_moving_keeps_everything():
    moved = CONDITION.drop(torch.tensor([True, False, True, False])).to("cpu")
    assert moved.dropped["label"].tolist() == [True, False, True, False]
    assert set(moved.values) == {"label", "text"}
    assert CONDITION.to("meta").dropped["label"].device.type == "meta"
    assert CONDITION.to("meta").values["text"].device.type == "meta"

"""What training hides of conditions: as often as it says, each by itself, and never what is always told."""

from dataclasses import replace

import torch

from sfumato.condition import Condition
from sfumato.families.conditioning import Conditioning, blurred

ROWS = 20_000
CONDITION = Condition.of(label=torch.zeros(ROWS, dtype=torch.int64), text=torch.zeros(ROWS, 4).long())


def drawn(rule: Conditioning, condition: Condition = CONDITION) -> Condition:
    changed = rule(condition, rule.draw(ROWS, torch.Generator().manual_seed(0)))
    assert changed is not None
    return changed


def share(mask: torch.Tensor) -> float:
    return float(mask.double().mean())


def test_one_condition_is_hidden_as_often_as_it_says() -> None:
    rule = Conditioning(0.1, ("label",))
    only = Condition.of(label=torch.zeros(ROWS, dtype=torch.int64))
    # Four standard deviations of a share of 20,000.
    assert abs(share(drawn(rule, only).dropped["label"]) - 0.1) < 4 * (0.09 / ROWS) ** 0.5


def test_several_are_hidden_together_and_each_alone() -> None:
    hidden = drawn(Conditioning(0.1, ("label", "text"))).dropped
    both, label_alone = (hidden["label"] & hidden["text"]), (hidden["label"] & ~hidden["text"])
    expected_both, expected_alone = 0.1 + 0.9 * 0.01, 0.9 * 0.1 * 0.9
    for found, expected in ((both, expected_both), (label_alone, expected_alone)):
        assert abs(share(found) - expected) < 4 * (expected * (1 - expected) / ROWS) ** 0.5


def test_what_is_always_told_stays() -> None:
    told = replace(CONDITION, always=frozenset({"text"}))
    hidden = drawn(Conditioning(0.5, ("label",)), told).dropped
    assert bool(hidden["label"].any())
    assert not bool(hidden["text"].any())


def test_noise_is_added_to_pictures_and_its_level_told() -> None:
    clear = torch.rand(4, 4, 2, 2)
    clear[:, -1] = 0
    rule = Conditioning(0.0, (), picture=(3, 2, 2), noise=0.5)
    draws = rule.draw(4, torch.Generator().manual_seed(0))
    changed = rule(Condition.of(picture=clear), draws)
    assert changed is not None
    noisy, level = changed.values["picture"], draws["picture.level"]
    assert bool((level >= 0).all() & (level <= 0.5).all())
    assert torch.equal(noisy[:, -1], level[:, None, None].expand(4, 2, 2))
    s = level[:, None, None, None]
    assert torch.allclose(noisy[:, :-1], (1 - s) * clear[:, :-1] + s * draws["picture.eps"])
    assert torch.equal(blurred(clear[:, :-1], torch.zeros(4), draws["picture.eps"])[:, :-1], clear[:, :-1])


def test_attributes_are_left_open_in_any_number() -> None:
    rule = Conditioning(0.0, ("attributes",), attributes=3)
    changed = drawn(rule, Condition.of(attributes=torch.ones(ROWS, 3)))
    told = changed.values["attributes"].sum(1).long()
    # A uniform share leaves each number of them equally likely: 1/(3 + 1).
    shares = torch.bincount(told, minlength=4) / ROWS
    assert bool(((shares - 0.25).abs() < 4 * (0.1875 / ROWS) ** 0.5).all())

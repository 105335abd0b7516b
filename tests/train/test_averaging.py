"""Averages of the weights: what they weigh, whose they are, and which one is chosen."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import sfumato
from helpers import TINY, exhaust, tiny_training
from sfumato.families.agreements import Player
from sfumato.recipes import configure
from sfumato.runs.fitting import Training
from sfumato.runs.run import CHECKPOINT
from sfumato.train.averaging import WIDTHS, Averages, Networks, gamma_of, share_of_update
from sfumato.train.budget import Budget, Done
from sfumato.train.checkpoint import load
from sfumato.train.events import Ended, HeldOut, Saved, Stepped
from sfumato.train.signals import StopRequest

PLAYED = Stepped(Done(), 0.0, {"one": 0.0}, 0.0, {"one": 0.0})


def shares(gamma: float, updates: int) -> Tensor:
    """Return how much of each update's weights is in the average after the last."""
    found = torch.zeros(updates, dtype=torch.float64)
    for n in range(updates):
        share = share_of_update(n + 1, gamma)
        found *= 1 - share
        found[n] += share
    return found


def player(name: str = "one", sampled: bool = True) -> Player:
    def loss(batch: object, draws: object) -> Tensor:
        raise AssertionError("averages ask for no loss")

    return Player(name, nn.Linear(1, 1, bias=False), loss, sampled=sampled)


def test_recent_weights_weigh_as_the_paper_says() -> None:
    """Karras et al. 2024, equation 2: the weight of time t in the average at T is proportional to t^gamma."""
    gamma, updates = 6.0, 400
    found = shares(gamma, updates)
    times = torch.arange(1, updates + 1, dtype=torch.float64)
    expected = times**gamma / (times**gamma).sum()
    # The recursion is the discrete form of the integral: they agree to the order of one update in `updates`.
    assert float(found.sum()) == pytest.approx(1, abs=1e-12)
    assert float((found - expected).abs().sum()) < 3 * gamma / updates


@pytest.mark.parametrize("width", WIDTHS.values())
def test_an_average_is_as_wide_as_it_says(width: float) -> None:
    """As a distribution over the share of training done, its weights have the width as their deviation."""
    updates = 4000
    weights = shares(gamma_of(width), updates)
    times = (torch.arange(updates, dtype=torch.float64) + 0.5) / updates
    mean = (weights * times).sum()
    deviation = float((weights * (times - mean).square()).sum().sqrt())
    # One update in 4000 is a quarter of a thousandth of the training.
    assert deviation == pytest.approx(width, abs=5e-4)


def test_the_first_update_forgets_the_initial_weights_and_the_rest_follow() -> None:
    one = player()
    averages = Averages((one,))
    weight = one.module.weight
    with torch.no_grad():
        weight.fill_(3.0)
    averages(PLAYED)
    for name in WIDTHS:
        assert float(averages.tensors()[f"one.average.{name}.weight"]) == 3.0
    with torch.no_grad():
        weight.fill_(5.0)
    averages(PLAYED)
    for name, width in WIDTHS.items():
        expected = 3.0 + 2.0 * share_of_update(2, gamma_of(width))
        assert float(averages.tensors()[f"one.average.{name}.weight"]) == pytest.approx(expected, rel=1e-6)
    assert int(averages.tensors()["one.updates"]) == 2


def test_a_player_is_averaged_if_sampled_and_when_it_moves() -> None:
    averages = Averages((player("one"), player("two"), player("critic", sampled=False)))
    averages(PLAYED)
    assert set(averages.modules()) == {"one", "two"}
    assert not [name for name in averages.tensors() if name.startswith("critic")]
    assert [int(averages.tensors()[f"{name}.updates"]) for name in ("one", "two")] == [1, 0]


def test_only_parameters_are_averaged() -> None:
    """A running statistic or a table in a buffer is no weight: its average means nothing."""
    norm = nn.BatchNorm1d(2)
    averages = Averages((Player("one", norm, player().loss),))
    norm.running_mean += 5  # type: ignore[operator]
    with torch.no_grad():
        norm.weight += 5
    averages(PLAYED)
    kept = averages.modules()["one"]
    assert torch.equal(kept.weight, norm.weight)
    assert not kept.running_mean.any()


@pytest.mark.parametrize("best", WIDTHS)
def test_the_lowest_loss_chooses(best: str) -> None:
    averages = Averages((player(),))
    weights = {}
    for name in WIDTHS:
        averages.chosen = name
        weights[name] = averages.modules()["one"].weight

    def loss_of(wanted: Tensor) -> Callable[[Networks], Tensor]:
        return lambda networks: torch.ones(5) * (1.0 if networks["one"].weight is wanted else 2.0)

    averages.choose(loss_of(weights[best]))
    assert averages.chosen == best
    assert averages.modules()["one"].weight is weights[best]


def test_of_a_game_a_longer_average_is_sampled_because_no_loss_can_choose() -> None:
    assert Averages((player(),)).chosen == "short"
    assert Averages((replace(player(), compared=False),)).chosen == "middle"
    told = replace(player("critic"), compared=False, sampled=False)
    assert Averages((told, player())).chosen == "short"


def test_a_mean_over_a_turn_lies_nearer_to_the_middle_than_any_weight_on_it() -> None:
    """What the choice rests on: weights that circle, averaged over a share of many turns."""
    one = replace(player(), compared=False)
    averages = Averages((one,))
    for step in range(1, 1001):
        with torch.no_grad():
            one.module.weight.fill_(math.cos(2 * math.pi * step / 50))
        averages(PLAYED)
    # 1,000 steps are 20 turns and the average looks back over about 4 of them: what is left is below a tenth.
    assert abs(float(averages.modules()["one"].weight)) < 0.1


def test_training_ends_with_the_average_that_does_best_on_what_is_held_out(tmp_path: Path) -> None:
    settings = ("training.learning_rate=0.003", "training.checkpoint_seconds=0")
    training = tiny_training(tmp_path / "run", 60, *settings)
    training.begin()
    chosen, losses, ended = [], [], False
    for event in training.events(StopRequest()):
        ended = ended or isinstance(event, Ended)
        if training.fit.done.steps == 60 and isinstance(event, Stepped):
            # What is sampled until something is compared is spoilt, so another average must win.
            with torch.no_grad():
                training.averages.modules()["denoiser"].head.weight.zero_()  # type: ignore[union-attr, operator]
        if isinstance(event, Saved) and not ended:
            chosen.append(load(tmp_path / "run" / CHECKPOINT).state["average"])
        if isinstance(event, HeldOut):
            losses.append(event.average)
    assert len(chosen) == 60
    assert set(chosen) == {"short"}  # until the end nothing is compared
    final = load(tmp_path / "run" / CHECKPOINT).state["average"]
    found = {}
    for name in WIDTHS:
        training.averages.chosen = name
        found[name] = training._held_out.loss(training.averages.modules())
    assert final != "short"
    assert final == min(found, key=lambda name: found[name])
    assert losses[-1] == found[final]


def test_where_nothing_is_held_out_the_shortest_average_is_sampled(tmp_path: Path) -> None:
    dataset = sfumato.load_data("digits", held_out=0.0)
    training = Training(configure(dataset, settings=TINY), dataset, tmp_path / "run", Budget("steps", 3))
    training.begin()
    exhaust(training)
    assert load(tmp_path / "run" / CHECKPOINT).state["average"] == "short"

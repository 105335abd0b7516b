"""What did best on held-out examples is kept on the way, and used where it is clearly better than the end."""

from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor, nn

from sfumato.families.agreements import Batch, Player
from sfumato.train.averaging import Averages, Networks
from sfumato.train.budget import Budget, Done
from sfumato.train.events import Ended, HeldOut, Notice, Stepped
from sfumato.train.held_out import HeldOutLoss, looks_in


def player() -> Player:
    def loss(batch: object, draws: object) -> Tensor:
        raise AssertionError("averages ask for no loss")

    return Player("one", nn.Linear(1, 1, bias=False), loss)


def stepped(averages: Averages, one: Player, value: float) -> None:
    with torch.no_grad():
        one.module.weight.fill_(value)  # type: ignore[union-attr, operator]
    averages(Stepped(Done(), 0.0, {"one": 0.0}, 0.0, 0.0))


def test_the_best_so_far_is_kept_and_no_later_step_moves_it() -> None:
    one = player()
    averages = Averages((one,))
    for step, (value, loss) in enumerate([(3.0, 0.5), (4.0, 0.2), (5.0, 0.3), (6.0, 0.2)]):
        stepped(averages, one, value)
        before = float(averages.tensors()["one.average.short.weight"])
        averages.keep(loss, step)
        kept = float(averages.tensors()["one.average.best.weight"])
        if step <= 1:
            assert kept == before
            best = before
        assert kept == best
    assert averages.kept_at == 1  # the first of equals

    again = Averages((player(),))
    again.load_tensors(averages.tensors())
    assert again.kept_at == 1
    again.keep(0.25, 9)  # is no better than what was kept before the resume
    assert again.tensors().keys() == averages.tensors().keys()
    assert all(torch.equal(value, averages.tensors()[name]) for name, value in again.tensors().items())


@pytest.mark.parametrize(("gain", "expected"), [(0.1, "best"), (0.01, "long"), (-0.1, "long")])
def test_what_was_kept_is_chosen_only_where_it_is_better_by_more_than_chance(
    gain: float, expected: str
) -> None:
    """Of 100 differences with a deviation of about 0.1, two standard errors are 0.02."""
    one = player()
    averages = Averages((one,))
    stepped(averages, one, 1.0)
    averages.keep(0.0, 1)
    stepped(averages, one, 2.0)
    hard = torch.randn(100, generator=torch.Generator().manual_seed(0))
    differences = 0.1 * torch.randn(100, generator=torch.Generator().manual_seed(1))

    def losses(networks: Networks) -> Tensor:
        is_kept = float(networks["one"].weight) == 1.0  # type: ignore[arg-type]
        return hard + differences - differences.mean() - gain if is_kept else hard

    averages.choose(losses)
    assert averages.chosen == expected
    assert (float(averages.modules()["one"].weight) == 1.0) == (expected == "best")  # type: ignore[arg-type]


@dataclass(frozen=True)
class Overfitting:
    """A family whose loss on what is held out is the square of how far its one weight is from 3."""

    module: nn.Module
    steady: bool = True

    def players(self) -> tuple[Player, ...]:
        return (Player("one", self.module, self.loss, steady=self.steady),)

    def loss(self, batch: Batch, draws: object) -> Tensor:
        return (self.module.weight[0, 0] - 3).square() + batch.examples[:, 0]  # type: ignore[union-attr, index, operator]

    def draw(self, rows: int, shape: tuple[int, ...], generator: torch.Generator) -> dict[str, Tensor]:
        return {}

    def with_modules(self, modules: Networks) -> "Overfitting":
        return replace(self, module=modules["one"])


def looked_at(
    steps: int, budget: int, steady: bool = True, stop: int | None = None, **how: int
) -> tuple[list[int], Averages]:
    """Let one weight walk from 0 up by a hundredth a step; return the steps of the looks, and the averages.

    stop: the step after which all is put down and taken up again by others.
    """
    family = Overfitting(player().module, steady)
    news: list[object] = []

    def begun() -> tuple[Averages, HeldOutLoss]:
        averages = Averages(family.players())
        load = lambda places: Batch(places[:, None].float(), None)  # noqa: E731
        return averages, HeldOutLoss(
            family, averages, load, 4, (1,), torch.device("cpu"), "fp32", news.append, **how
        )

    averages, held_out = begun()
    for step in range(1, steps + 1):
        with torch.no_grad():
            family.module.weight.fill_(step / 100)  # type: ignore[union-attr, operator]
        event = Stepped(Done(step), step / budget, {"one": 0.0}, 0.0, 0.0)
        averages(event)
        held_out(event)
        if step == stop:
            kept = averages.tensors()
            averages, held_out = begun()
            averages.load_tensors(kept)
            held_out.resume(step / budget, step)
    looks = [event.done.steps for event in news if isinstance(event, HeldOut)]
    held_out(Ended(Done(steps), None))
    assert sum(isinstance(event, Notice) for event in news) == (averages.chosen == "best")
    return looks, averages


def test_what_is_learned_by_heart_early_is_seen_and_the_weights_before_it_are_used() -> None:
    """The weight passes 3 at step 300 of 5,000, long before the first even look at 500."""
    looks, averages = looked_at(5000, 5000)
    assert looks[:9] == [1, 100, 150, 225, 338, 500, 1000, 1500, 2000]
    assert averages.chosen == "best"
    assert averages.kept_at == 338
    # The shortest average looks back by some 5 % of what was done: 3.38 less about 0.2.
    assert float(averages.modules()["one"].weight) == pytest.approx(3.2, abs=0.1)  # type: ignore[arg-type]


def test_nothing_is_learned_by_heart_before_it_was_seen() -> None:
    assert looked_at(5000, 5000, first=400)[0][:4] == [1, 400, 500, 1000]


def test_a_short_training_looks_less_often() -> None:
    assert looked_at(1000, 1000, times=2, first=600)[0] == [1, 500]
    budgets = ("10s", "29s", "90s", "2m", "1h", "4steps", "200steps", "10000images")
    assert [looks_in(Budget.parse(budget)) for budget in budgets] == [2, 2, 7, 10, 10, 2, 4, 3]


@pytest.mark.parametrize("stop", [149, 150, 400, 500])
def test_a_resumed_run_looks_when_an_uninterrupted_one_does(stop: int) -> None:
    looks, averages = looked_at(1500, 5000, stop=stop)
    whole, expected = looked_at(1500, 5000)
    assert looks == whole
    found = averages.tensors()
    assert found.keys() == expected.tensors().keys()
    assert all(torch.equal(value, found[name]) for name, value in expected.tensors().items())


def test_losses_whose_aim_moves_are_not_compared_over_time() -> None:
    _, averages = looked_at(1000, 1000, steady=False)
    assert averages.chosen != "best"
    assert averages.kept_at is None
    assert not [name for name in averages.tensors() if "best" in name]

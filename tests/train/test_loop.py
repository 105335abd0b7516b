"""The fit loop: what stops it, how fast each player moves, and that processes add up."""

from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator

from helpers import TINY, exhaust, tiny_training
from sfumato.errors import ConfigError
from sfumato.families.agreements import Batch, Draws, Player
from sfumato.runs.run import CHECKPOINT, Run
from sfumato.train.budget import Budget, Done
from sfumato.train.checkpoint import load
from sfumato.train.compiling import disagreement
from sfumato.train.events import Ended, HeldOut, Notice, Stepped
from sfumato.train.loop import Fit, FitSettings, TrainingDivergedError
from sfumato.train.optimiser import AdamW, learning_rate_scale
from sfumato.train.order import Order
from sfumato.train.signals import StopRequest


def test_the_held_out_loss_falls(tmp_path: Path) -> None:
    training = tiny_training(tmp_path / "run", 150, "training.learning_rate=0.003")
    training.begin()
    losses = [event for event in training.events(StopRequest()) if isinstance(event, HeldOut)]
    # An untrained network's EDM loss is 1 by construction; the draws are always the same.
    assert losses[0].raw == pytest.approx(1, abs=0.25)
    assert losses[-1].raw < 0.8 * losses[0].raw
    assert losses[-1].average < 0.8 * losses[0].raw


def test_training_stops_before_the_step_that_would_spoil_the_weights(tmp_path: Path) -> None:
    training = tiny_training(tmp_path / "run", 50)
    training.begin()
    events = training.events(StopRequest())
    for event in events:
        if isinstance(event, Stepped) and event.done.steps == 5:
            break
    with torch.no_grad():
        training.family.module.stem.bias[0] = float("nan")  # type: ignore[union-attr]
    before = {name: value.clone() for name, value in training.fit.tensors().items()}
    with pytest.raises(TrainingDivergedError, match=r"step 5.*learning_rate"):
        list(events)
    after = training.fit.tensors()
    assert all(torch.equal(before[name], after[name]) or before[name].isnan().any() for name in before)
    assert Run.open(tmp_path / "run").done.steps == 0


def test_a_stop_request_saves_and_ends(tmp_path: Path) -> None:
    training = tiny_training(tmp_path / "run", 50)
    training.begin()
    stop = StopRequest()
    for event in training.events(stop):
        if isinstance(event, Stepped) and event.done.steps == 7:
            stop.name = "SIGTERM"
    assert isinstance(event, Ended) or training.fit.done.steps == 7
    assert load(tmp_path / "run" / CHECKPOINT).state["done"]["steps"] == 7


def test_every_epoch_visits_every_example_once() -> None:
    order = Order(10, 4, seed=3)
    seen = torch.cat([order.indices(step) for step in range(5)])
    for epoch in (seen[:10], seen[10:]):
        assert sorted(epoch.tolist()) == list(range(10))
    assert seen[:10].tolist() != seen[10:].tolist()
    assert torch.equal(Order(10, 4, seed=3).indices(3), order.indices(3))


def test_a_batch_may_be_larger_than_the_data() -> None:
    assert Order(3, 8, seed=0).indices(1).shape == (8,)


@pytest.mark.parametrize(
    ("text", "of", "amount"),
    [("90s", "seconds", 90), ("5m", "seconds", 300), ("1.5h", "seconds", 5400), ("20steps", "steps", 20)],
)
def test_budgets_read_and_write(text: str, of: str, amount: float) -> None:
    budget = Budget.parse(text)
    assert (budget.of, budget.amount) == (of, amount)
    assert Budget.parse(str(budget)) == budget


@pytest.mark.parametrize("text", ["", "5", "m", "-5m", "0s", "5 parsecs", "1.5steps", "5m30"])
def test_what_is_no_budget_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"not a budget.*90s, 5m"):
        Budget.parse(text)


def test_progress_and_time_left() -> None:
    budget = Budget("images", 1000)
    assert budget.progress(Done(5, 250, 10.0)) == 0.25
    assert budget.seconds_left(Done(5, 250, 10.0)) == pytest.approx(30)
    assert budget.progress(Done(50, 2500, 10.0)) == 1


def test_the_learning_rate_rises_and_ends_at_zero() -> None:
    assert learning_rate_scale(0, 0.0, 10) == pytest.approx(0.1)
    assert learning_rate_scale(9, 0.0, 10) == pytest.approx(1)
    assert learning_rate_scale(500, 0.5, 10) == pytest.approx(0.5)
    assert learning_rate_scale(1000, 1.0, 10) == pytest.approx(0)


@pytest.mark.parametrize(
    ("progress", "scale"), [(0.0, 1), (0.5, 1), (0.75, 0.5), (0.875, 0.25), (0.95, 0.2), (1.0, 0.2)]
)
def test_the_learning_rate_may_stay_at_its_peak_and_above_a_floor(progress: float, scale: float) -> None:
    # Each is exact: all numbers but the floor are sums of powers of two, and the floor is only compared.
    assert learning_rate_scale(100, progress, 10, flat=0.5, floor=0.2) == scale
    assert learning_rate_scale(4, progress, 10, flat=0.5, floor=0.2) == 0.5 * scale
    without = learning_rate_scale(100, progress, 10, flat=0.5)
    assert without == scale if scale > 0.2 else without < 0.2


class _Pair:
    """Two players of one weight each, whose loss falls by 1 with every 1 of it."""

    def __init__(self) -> None:
        self.modules = {name: torch.nn.Linear(1, 1, bias=False) for name in ("one", "other")}

    def players(self) -> tuple[Player, ...]:
        def loss(module: torch.nn.Linear, batch: Batch, draws: Draws) -> torch.Tensor:
            return -module.weight.expand(len(batch.examples), 1).squeeze(1)

        one, other = self.modules.values()
        return (
            Player("one", one, partial(loss, one)),
            Player("other", other, partial(loss, other), pace=2.0, floor=0.6),
        )

    def draw(self, rows: int, shape: tuple[int, ...], generator: torch.Generator) -> Draws:
        return {}

    def with_modules(self, modules: object) -> "_Pair":
        return self


class _Uneven(_Pair):
    """The same, but the other moves at every second step, and three times as steeply."""

    def players(self) -> tuple[Player, ...]:
        one, other = super().players()
        return one, replace(other, every=2, loss=lambda batch, draws: 3 * other.loss(batch, draws))


def test_a_step_tells_the_loss_and_the_gradient_of_each_player_that_moved() -> None:
    pair = _Uneven()
    settings = FitSettings(8, AdamW(weight_decay=0.0), 0.5, 2, 1.0, seed=0, precision="fp32")
    batch = Batch(torch.zeros(8, 1), None)
    fit = Fit(pair, 8, lambda indices: batch, (1,), settings, Accelerator(cpu=True))
    told = []
    for event in fit.run(Budget("steps", 4), StopRequest()):
        if isinstance(event, Stepped):
            told.append((event, {name: module.weight.item() for name, module in pair.modules.items()}))
    for step, (event, _) in enumerate(told):
        moved = ["one", "other"] if step % 2 == 0 else ["one"]
        # Of a weight's mean over equal rows the gradient is its slope: 1 and 3, unclipped, and exact.
        assert event.gradient_norms == {name: {"one": 1.0, "other": 3.0}[name] for name in moved}
        assert list(event.losses) == moved
    # A loss is the one before its move, that is, after the move before; a sum of eight rounds in float32.
    for (_, weights), (event, _) in pairwise(told):
        for name, loss in event.losses.items():
            assert loss == pytest.approx(-{"one": 1, "other": 3}[name] * weights[name], rel=1e-6)


def test_each_player_follows_the_schedule_at_its_pace_and_above_its_floor() -> None:
    pair, steps, peak = _Pair(), 8, 0.5
    settings = FitSettings(8, AdamW(weight_decay=0.0), peak, 2, 1.0, seed=0, precision="fp32", flat=0.5)
    batch = Batch(torch.zeros(8, 1), None)
    fit = Fit(pair, 8, lambda indices: batch, (1,), settings, Accelerator(cpu=True))
    weights = {name: [module.weight.item()] for name, module in pair.modules.items()}
    rates = []
    for event in fit.run(Budget("steps", steps), StopRequest()):
        if isinstance(event, Stepped):
            rates.append(event.learning_rate)
            for name, module in pair.modules.items():
                weights[name].append(module.weight.item())
    scales = [0.5, 1, 1, 1, 1, 0.75, 0.5, 0.25]
    assert rates == [peak * scale for scale in scales]
    for name, factors in (("one", scales), ("other", [1, 2, 2, 2, 2, 1.5, 1.2, 1.2])):
        moves = [after - before for before, after in pairwise(weights[name])]
        # Adam moves by its rate where the gradient is always the same; float32 holds a weight of 7 to 5e-7.
        assert moves == pytest.approx([peak * factor for factor in factors], abs=5e-6)


def test_a_compiled_network_that_disagrees_is_found_out() -> None:
    module = torch.nn.Linear(3, 1)
    x = torch.ones(4, 3)

    def right() -> torch.Tensor:
        return module(x).square().mean()

    def wrong_gradient() -> torch.Tensor:
        loss = module(x).square().mean()
        return loss.detach() + 3 * (loss - loss.detach())

    def broken() -> torch.Tensor:
        raise RuntimeError("no compiler")

    assert disagreement(module, right, right) is None
    assert "gradient" in str(disagreement(module, right, wrong_gradient))
    assert "compilation failed" in str(disagreement(module, right, broken))
    assert module.weight.grad is None


@pytest.mark.slow
def test_compiled_training_follows_plain_training(tmp_path: Path) -> None:
    """The compiler reorders sums: over 30 steps in fp32 the losses agree to a thousandth."""
    losses = {}
    for compiling in ("off", "on"):
        settings = ("precision=fp32", f"training.compile={compiling}")
        training = tiny_training(tmp_path / compiling, 30, *settings)
        training.begin()
        events = list(training.events(StopRequest()))
        assert not [event for event in events if isinstance(event, Notice)]
        losses[compiling] = [event.losses["denoiser"] for event in events if isinstance(event, Stepped)]
    assert losses["on"] == pytest.approx(losses["off"], rel=1e-3)


def test_a_batch_that_processes_cannot_share_is_refused(tmp_path: Path) -> None:
    training = tiny_training(tmp_path / "run", 5)
    accelerator = type("Fake", (), {"num_processes": 3, "device": torch.device("cpu")})()
    with pytest.raises(ConfigError, match="16 cannot be shared by 3"):
        Fit(training.family, 10, lambda i: None, (1, 8, 8), training.fit.settings, accelerator)  # type: ignore
    assert TINY[2] == "training.batch=16"


def test_another_seed_is_another_run(tmp_path: Path) -> None:
    weights = []
    for seed in (0, 1):
        training = tiny_training(tmp_path / str(seed), 1, seed=seed)
        training.begin()
        exhaust(training)
        weights.append(training.family.module.stem.weight.detach().clone())  # type: ignore[union-attr, operator]
    assert not torch.equal(*weights)

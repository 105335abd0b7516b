"""Resumed = uninterrupted, and no crash loses more than an interval."""

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError

from helpers import call, exhaust, tiny_training
from sfumato.runs.run import CHECKPOINT, Run
from sfumato.train import checkpoint
from sfumato.train.checkpoint import Checkpoint, load, save


def _tensors(folder: Path) -> dict[str, torch.Tensor]:
    return dict(load(folder / CHECKPOINT).tensors)


def _assert_bitwise(first: Path, second: Path) -> None:
    one, two = _tensors(first), _tensors(second)
    assert one.keys() == two.keys()
    differing = [name for name in one if not torch.equal(one[name], two[name])]
    assert not differing
    # Weights, averages with their counters and the best so far, and both of Adam's moments are among them.
    for part in (".weights.", ".average.", ".average.best.", "best.loss", ".updates", "exp_avg_sq"):
        assert any(part in name for name in one)


def test_resumed_is_uninterrupted_bitwise(tmp_path: Path) -> None:
    whole, halves = tmp_path / "whole", tmp_path / "halves"
    uninterrupted = tiny_training(whole, 200)
    uninterrupted.begin()
    exhaust(uninterrupted)

    first = tiny_training(halves, 200)
    first.begin()
    exhaust(first, stop_after=100)
    assert load(halves / CHECKPOINT).state["done"]["steps"] == 100
    second = tiny_training(halves, 200)
    second.resume()
    exhaust(second)

    assert load(halves / CHECKPOINT).state["average"] == load(whole / CHECKPOINT).state["average"]
    _assert_bitwise(whole, halves)


def test_averages_lie_behind_the_weights_by_their_lengths_and_count_updates(
    tmp_path: Path,
) -> None:
    training = tiny_training(tmp_path / "run", 30)
    training.begin()
    exhaust(training)
    tensors = _tensors(tmp_path / "run")
    assert int(tensors["denoiser.updates"]) == 30
    weights = tensors["denoiser.weights.stem.weight"]
    away = [
        float((weights - tensors[f"denoiser.average.{name}.stem.weight"]).norm() / weights.norm())
        for name in ("short", "middle", "long")
    ]
    # The further back an average looks, the further it is from where the weights have come to.
    assert 0 < away[0] < away[1] < away[2] < 0.5


KILLED = """
import sys
sys.path.insert(0, sys.argv[2])
from pathlib import Path
from helpers import tiny_training, exhaust
training = tiny_training(Path(sys.argv[1]), 100000, "training.checkpoint_seconds=0")
if (Path(sys.argv[1]) / "config.json").exists():
    training.resume()
else:
    training.begin()
print("ready", flush=True)
for _ in training.events(__import__("sfumato.train.signals", fromlist=["x"]).StopRequest()):
    print(training.fit.done.steps, flush=True)
"""


def _train_and_kill(folder: Path, seconds: float) -> list[int]:
    """Train in another process, kill it after so many seconds, and return the steps it said it had made."""
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(folder), str(Path(__file__).parents[1])],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline().strip() == "ready"
    time.sleep(seconds)
    process.kill()
    steps = [int(line) for line in process.stdout.read().split() if line.isdigit()]
    process.wait()
    return steps


def test_a_budget_that_is_refused_is_not_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    training = tiny_training(tmp_path / "run", 4)
    training.begin()
    exhaust(training, stop_after=2)
    assert call("train", "--resume", "--out", tmp_path / "run", "--budget", "1steps") == 2
    assert "has used its budget" in " ".join(capsys.readouterr().err.split())
    assert call("train", "--resume", "--out", tmp_path / "run") == 0
    assert Run.open(tmp_path / "run").done.steps == 4


def test_a_full_disk_is_an_error_of_the_disk_and_the_old_checkpoint_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, path = Checkpoint({"x": torch.ones(2)}, {"done": 1}), tmp_path / CHECKPOINT
    save(path, old)

    def full(*given: object) -> None:
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(checkpoint, "save_file", full)
    with pytest.raises(OSError, match="No space left"):
        save(path, Checkpoint({"x": torch.zeros(2)}, {"done": 2}))
    assert [kept.name for kept in tmp_path.iterdir()] == [CHECKPOINT]
    assert load(path).state == old.state


@pytest.mark.slow
def test_twenty_kills_lose_at_most_one_interval(tmp_path: Path) -> None:
    """With a checkpoint at every step, a kill at any moment costs at most the step it interrupts."""
    folder, chance = tmp_path / "run", random.Random(0)
    for _ in range(20):
        steps = _train_and_kill(folder, chance.uniform(0.05, 1.5))
        saved = Run.open(folder).done.steps
        assert steps
        assert saved >= steps[-1] - 1


def test_a_kill_leaves_a_run_that_loads(tmp_path: Path) -> None:
    """One kill at a random moment of a training that saves at every step."""
    folder = tmp_path / "run"
    _train_and_kill(folder, 0.4)
    assert Run.open(folder).sample(2, steps=2).shape == (2, 1, 8, 8)

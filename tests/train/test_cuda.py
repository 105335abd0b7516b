"""The same on a graphics card: training, resuming, sampling and distilling; skipped where there is none."""

from pathlib import Path

import numpy as np
import pytest
import torch

import sfumato
from helpers import exhaust, tiny_training
from sfumato.runs.run import CHECKPOINT, Run
from sfumato.train.checkpoint import load
from sfumato.train.events import HeldOut
from sfumato.train.signals import StopRequest

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")


@pytest.mark.parametrize("precision", ["bf16", "fp32"])
@pytest.mark.parametrize("optimiser", ["muon", "adamw"])
def test_the_held_out_loss_falls(tmp_path: Path, precision: str, optimiser: str) -> None:
    settings = (f"precision={precision}", f"optimiser={optimiser}", "training.learning_rate=0.003")
    training = tiny_training(tmp_path / "run", 100, *settings)
    assert next(training.family.module.parameters()).device.type == "cuda"
    training.begin()
    losses = [event.raw for event in training.events(StopRequest()) if isinstance(event, HeldOut)]
    assert losses[-1] < 0.85 * losses[0]


@pytest.mark.parametrize("optimiser", ["muon", "adamw"])
def test_a_run_goes_on_from_what_was_saved_bitwise(tmp_path: Path, optimiser: str) -> None:
    """What follows is not bitwise the same, for a card takes its sums in another order each time.

    Both optimisers divide by a gradient's own size, so an entry whose gradient is rounding alone may move by
    the whole rate: two trainings cannot be compared entry by entry, but what one takes up can.
    """
    first = tiny_training(tmp_path / "run", 40, f"optimiser={optimiser}")
    first.begin()
    exhaust(first, stop_after=20)
    saved = load(tmp_path / "run" / CHECKPOINT).tensors
    second = tiny_training(tmp_path / "run", 40, f"optimiser={optimiser}")
    second.resume()
    found = {**second.fit.tensors(), **second.averages.tensors()}
    assert found.keys() == saved.keys()
    assert not [name for name in found if not torch.equal(found[name].cpu(), saved[name])]
    # All but the count of updates, which the host reads at every step.
    assert [name for name in found if found[name].device.type != "cuda"] == ["denoiser.updates"]
    exhaust(second)
    assert int(second.averages.tensors()["denoiser.updates"]) == 40


def test_both_devices_draw_the_same_pictures(tmp_path: Path) -> None:
    training = tiny_training(tmp_path / "run", 60, "precision=fp32")
    training.begin()
    exhaust(training)
    pictures = [Run.open(tmp_path / "run", device).sample(10, seed=3) for device in ("cpu", "cuda")]
    # Noise is drawn on the processor for both; what is left is the rounding of float32 convolutions (TF32 is
    # off by default for matrices, on for convolutions: 10 bits of mantissa).
    assert np.abs(pictures[0].astype(int) - pictures[1].astype(int)).max() <= 6


def test_it_distils(tmp_path: Path) -> None:
    training = tiny_training(tmp_path / "teacher", 30)
    training.begin()
    exhaust(training)
    student = sfumato.distill(Run.open(tmp_path / "teacher"), tmp_path / "student", budget="5steps", steps=2)
    assert student.device.type == "cuda"
    assert student.sample(4).shape == (4, 1, 8, 8)

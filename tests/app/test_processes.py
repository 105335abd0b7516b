"""Several processes do what one does: the same command under the launcher."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from helpers import TINY
from sfumato.runs.run import CHECKPOINT, Run
from sfumato.train.checkpoint import load

pytestmark = pytest.mark.slow


def launch(processes: int, *words: str | Path) -> None:
    """Run the command line on so many processes of this machine."""
    launcher = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        f"--nproc-per-node={processes}",
    ]
    command = [*launcher, "-m", "sfumato", *map(str, words)]
    done = subprocess.run(command, timeout=240, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    folder = tmp_path_factory.mktemp("processes")
    settings = [f"--set={setting}" for setting in (*TINY, "precision=fp32")]
    for processes in (1, 2):
        launch(
            processes, "train", "digits", "--budget", "20steps", "--out", folder / str(processes), *settings
        )
    return {processes: folder / str(processes) for processes in (1, 2)}


def test_two_processes_train_the_weights_of_one(runs: dict[int, Path]) -> None:
    """The same global batch and noise: weights, averages and moments agree to rounding.

    In fp32 the halves' sums differ from the whole's in the last digit of a gradient, 1e-7 of its size. Adam
    divides by that size, so an entry whose gradient is rounding alone may move by the rate, 3e-3, a step:
    those are few, and the mean shows it.
    """
    one, two = (load(runs[n] / CHECKPOINT).tensors for n in (1, 2))
    assert one.keys() == two.keys()
    weights = [name for name in one if ".weights." in name or ".average." in name]
    moved = torch.cat([(one[name] - two[name]).flatten().abs() for name in weights])
    assert float(moved.max()) <= 3e-3
    assert float(moved.mean()) <= 1e-6


def test_two_processes_sample_the_images_of_one(runs: dict[int, Path], tmp_path: Path) -> None:
    for processes in (1, 2):
        launch(
            processes, "sample", runs[1], "-n", "200", "--steps", "4", "--out", tmp_path / f"{processes}.npz"
        )
    one, two = (np.load(tmp_path / f"{n}.npz") for n in (1, 2))
    assert np.array_equal(one["labels"], two["labels"])
    # One process works with more threads than each of two: the last digit of fp32 only.
    assert np.abs(one["images"].astype(int) - two["images"]).max() <= 1
    assert Run.open(runs[1]).done.steps == 20

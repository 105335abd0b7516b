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
    settings = [f"--set={setting}" for setting in TINY]
    for processes in (1, 2):
        launch(
            processes, "train", "digits", "--budget", "20steps", "--out", folder / str(processes), *settings
        )
    return {processes: folder / str(processes) for processes in (1, 2)}


def test_two_processes_train_the_weights_of_one(runs: dict[int, Path]) -> None:
    """The same global batch and noise: weights agree to rounding.

    Sums in another order move a bf16 gradient by up to 2^-8 of its size, and Adam's first steps have the
    size of the learning rate (3e-3) whatever the gradient's: twenty of them bound a disagreement in sign.
    """
    one, two = (load(runs[n] / CHECKPOINT).tensors for n in (1, 2))
    weights = [name for name in one if ".weights." in name]
    moved = torch.cat([(one[name] - two[name]).flatten().abs() for name in weights])
    assert float(moved.max()) <= 20 * 3e-3
    assert float(moved.mean()) <= 3e-4


def test_two_processes_sample_the_images_of_one(runs: dict[int, Path], tmp_path: Path) -> None:
    for processes in (1, 2):
        launch(
            processes, "sample", runs[1], "-n", "200", "--steps", "4", "--out", tmp_path / f"{processes}.npz"
        )
    one, two = (np.load(tmp_path / f"{n}.npz") for n in (1, 2))
    assert np.array_equal(one["labels"], two["labels"])
    # One process works with more threads than each of two: bf16 rounding only.
    assert np.abs(one["images"].astype(int) - two["images"]).max() <= 8
    assert Run.open(runs[1]).done.steps == 20

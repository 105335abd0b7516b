"""The adversarial recipe of points, which is also what the benchmark of collapse trains."""

from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from helpers import call
from sfumato.api import open_run
from sfumato.data import load_data
from sfumato.metrics.modes import modes
from sfumato.recipes import configure
from sfumato.train.history import measures_of, players_of

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def collapse(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return import_module("collapse")


def test_the_benchmark_shows_what_the_command_line_trains(collapse: ModuleType, tmp_path: Path) -> None:
    """The same samples, bit by bit, from the recipe as it is and from the benchmark's default game."""
    words = ("train", "grid", "--recipe", "gan", "--budget", "3steps", "--seed", "5")
    assert call(*words, "--out", tmp_path / "run") == 0
    shown = collapse.trained(load_data("grid"), "default", 5, 3).samples
    run = open_run(tmp_path / "run")
    np.testing.assert_array_equal(run.sample(collapse.SAMPLES), shown)
    # Its log and its page tell both sides apart.
    assert players_of(run.history) == ["critic", "generator"]
    assert not [name for name in measures_of(run.history) if "generator" in name]
    page = (tmp_path / "run" / "report.html").read_text()
    assert all(f'aria-label="{name} by training step"' in page for name in ("Loss", "Gradient norm"))


def test_the_games_of_the_benchmark_differ_in_loss_and_penalties_alone(collapse: ModuleType) -> None:
    made = [configure(load_data("ring"), "gan", settings=changes) for changes in collapse.GAMES.values()]
    ours, theirs = map(_settings, made)
    differing = {key for key in ours if ours[key] != theirs[key]}
    assert list(collapse.GAMES) == ["default", "lecture"]
    assert differing == {"loss", "r1", "r2"}
    assert (theirs["r1"], theirs["r2"], theirs["slope"]) == (0, 0, None)


def _settings(config: Any) -> dict[str, object]:
    """Return the settings under their last names, the family's options among the others."""
    tree = config.model_dump(mode="json")
    return {**tree.pop("family"), **tree}


@pytest.mark.parametrize("name", ["grid", "ring"])
def test_the_benchmark_knows_where_the_modes_are(collapse: ModuleType, name: str) -> None:
    """Of the data's own points 1 − e^(−9/2) are sharp; of 2,000 that share has a deviation of 0.24 %."""
    points, _ = load_data(name).held_out.batch(torch.arange(2000))
    found = modes(points, *collapse.SETS[name]())
    assert found.covered == found.of
    assert found.sharp == pytest.approx(1 - np.exp(-4.5), abs=0.01)


def test_points_are_made_of_as_much_noise_as_they_have_coordinates_and_of_no_label(tmp_path: Path) -> None:
    arrays = tmp_path / "vectors.npy"
    np.save(arrays, np.random.default_rng(0).normal(size=(40, 5)).astype(np.float32))
    assert configure(load_data(str(arrays)), "gan").family["latent"] == 5
    config = configure(load_data("moons"), "gan")
    assert (config.family["latent"], config.family["labels"]) == (2, False)
    # In bfloat16 a coordinate of 2 has steps of 1/64, a third of a grid's standard deviation.
    assert config.precision == "fp32"
    assert configure(load_data("digits"), "gan").family["labels"] is True

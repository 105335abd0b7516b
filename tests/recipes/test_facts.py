"""What recipes know of the data is found where they ask for it."""

from pathlib import Path

import pytest
import torch

from helpers import captioned_folder
from sfumato.data import Dataset, load_data
from sfumato.recipes import configure, facts
from sfumato.runs.config import LatentConfig
from sfumato.train import comparable
from sfumato.train.budget import Budget


@pytest.fixture
def data(tmp_path: Path) -> Dataset:
    return load_data(captioned_folder(tmp_path))


def test_words_are_learned_once_by_recipes_that_use_them_and_never_by_others(
    data: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    learned, times = facts.learned, []
    monkeypatch.setattr(facts, "learned", lambda captions: times.append(1) or learned(captions))
    for recipe in ("vae", "vq-vae", "gan"):
        assert "text" not in configure(data, recipe).conditions
    assert not times
    for count, recipe in enumerate(("images", "clip"), start=1):
        assert "text" in configure(data, recipe).conditions
        assert len(times) == count


def test_the_longer_a_training_the_wider_its_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = load_data(captioned_folder(tmp_path, count=8, size=24))

    def widths(budget: str) -> list[int]:
        found: list[int] = configure(data, "flow", budget=Budget.parse(budget)).network["widths"]
        return found

    monkeypatch.setattr(comparable, "fast_bf16", lambda device: True)
    budgets = (10, 40, 120, 300, 1200, 7200)
    times = [widths(f"{seconds}s") for seconds in budgets]
    assert times == sorted(times)
    assert len({tuple(each) for each in times}) == len(budgets)
    # Steps and images take nobody knows how long.
    assert widths("100steps") == widths("1000000images") == widths("5m")
    # A processor that takes longer for each step has the network of as many steps elsewhere.
    monkeypatch.setattr(comparable, "best_device", lambda: torch.device("cpu"))
    monkeypatch.setattr(comparable, "fast_bf16", lambda device: False)
    assert [widths(f"{comparable.SLOWER * seconds}s") for seconds in budgets] == times
    monkeypatch.setattr(comparable, "best_device", lambda: torch.device("mps"))  # of which nothing is known
    assert [widths(f"{seconds}s") for seconds in budgets] == times


@pytest.mark.parametrize("recipe", ["vae", "ladder-vae", "vq-vae"])
def test_codes_of_colour_pictures_are_no_bytes_to_be_told_in_bins(recipe: str, data: Dataset) -> None:
    codes = LatentConfig(run="", shape=(4, 8, 8), mean=(0.0,) * 4, std=(1.0,) * 4, decodes=True)
    assert configure(data, recipe).family["decoder"] == "logistic"
    assert configure(data, recipe, latent=codes).family["decoder"] == "gaussian"

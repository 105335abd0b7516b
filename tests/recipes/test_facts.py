"""What recipes know of the data is found where they ask for it."""

from pathlib import Path

import pytest

from helpers import captioned_folder
from sfumato.data import Dataset, load_data
from sfumato.recipes import configure, facts
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


def test_the_longer_a_training_the_wider_its_network(tmp_path: Path) -> None:
    data = load_data(captioned_folder(tmp_path, count=8, size=24))

    def widths(budget: str) -> list[int]:
        found: list[int] = configure(data, "flow", budget=Budget.parse(budget)).network["widths"]
        return found

    times = [widths(budget) for budget in ("20s", "2m", "5m", "20m", "2h")]
    assert times == sorted(times)
    assert len({tuple(each) for each in times}) == 5
    # Steps and images take nobody knows how long.
    assert widths("100steps") == widths("1000000images") == widths("5m")

"""The README's Python runs as it stands, at a smaller budget."""

import os
import re
from pathlib import Path

import pytest
import torch

TEXT = (Path(__file__).parents[1] / "README.md").read_text()
SHORT, BY_HAND = re.findall(r"```python\n(.*?)```", TEXT, flags=re.S)


def _run(code: str, smaller: tuple[str, str], folder: Path) -> dict[str, object]:
    """Execute a block of the README in `folder` with one number made smaller."""
    assert smaller[0] in code
    names: dict[str, object] = {}
    before = os.getcwd()
    os.chdir(folder)
    try:
        exec(compile(code.replace(*smaller), "README.md", "exec"), names)
    finally:
        os.chdir(before)
    return names


def test_the_short_way(tmp_path: Path) -> None:
    names = _run(SHORT, ('"60s"', '"10steps"'), tmp_path)
    assert names["images"].shape == (20, 1, 8, 8)  # type: ignore[attr-defined]
    assert (tmp_path / "runs/digits/config.json").is_file()
    assert len(SHORT.strip().splitlines()) < 10


def test_the_same_by_hand(tmp_path: Path) -> None:
    names = _run(BY_HAND, ("range(600)", "range(12)"), tmp_path)
    last = names["last"].x  # type: ignore[attr-defined]
    assert last.shape == (10, 1, 8, 8)
    assert torch.isfinite(last).all()


@pytest.mark.slow
def test_the_same_by_hand_learns_digits(tmp_path: Path) -> None:
    """At its full 600 steps, nearest neighbours read most of a hundred of its digits as asked."""
    from sklearn.datasets import load_digits
    from sklearn.neighbors import KNeighborsClassifier

    names = _run(BY_HAND, ("range(10)", "range(10)"), tmp_path)
    images, labels = load_digits(return_X_y=True)
    read = KNeighborsClassifier(1).fit(images / 8 - 1, labels).predict(names["last"].x.flatten(1).numpy())  # type: ignore[attr-defined]
    assert (read == range(10)).mean() >= 0.7


def test_every_picture_it_shows_is_there() -> None:
    for path in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", TEXT):
        assert (Path(__file__).parents[1] / path).is_file()


def test_every_name_it_lists_is_known_and_the_other_way_round() -> None:
    from sfumato.data import BUILT_IN
    from sfumato.recipes import RECIPES
    from sfumato.runs.registry import PIECES

    rows = {line.split("|")[1].strip(): line for line in TEXT.splitlines() if line.startswith("| ")}
    for row, names in {
        "the recipe": set(RECIPES),
        "the schedule": set(PIECES["schedule"]),
        "what is predicted": set(PIECES["prediction"]),
        "the loss": set(PIECES["weighting"]) | set(PIECES["times"]),
        "the sampler": set(PIECES["sampler"]),
    }.items():
        assert set(re.findall(r"`([a-z0-9+-]+)`", rows[row].split("|")[3])) == names
    for name in BUILT_IN:
        assert f"`{name}`" in TEXT

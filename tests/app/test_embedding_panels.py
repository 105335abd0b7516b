"""A contrastive encoder by the commands that every family has, and its pictures."""

from pathlib import Path

import numpy as np
import pytest

import sfumato
from helpers import call
from sfumato.app.embedding_panels import embedding_panels, some
from sfumato.data import load_data
from sfumato.runs.run import Run

SETTINGS = (
    "family.widths=[16,16,16]",
    "family.embedding=12",
    "family.projection=8",
    "training.batch=32",
    "precision=fp32",
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("contrastive") / "run"
    return sfumato.fit(load_data("digits"), folder, "contrastive", "20steps", settings=SETTINGS)


def test_its_codes_are_its_embeddings(run: Run, tmp_path: Path) -> None:
    assert call("encode", run.folder, "--out", tmp_path / "codes.npz") == 0
    with np.load(tmp_path / "codes.npz", allow_pickle=False) as arrays:
        assert arrays["codes"].shape == (1797, 12)
        assert np.isfinite(arrays["codes"]).all()


def test_its_log_says_how_embeddings_lie(run: Run) -> None:
    named = {name for row in run.history for name in row}
    assert {"uniformity (0 down to −4)", "effective rank (directions)", "temperature"} <= named


def test_it_is_no_generator_and_says_so(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("sample", run.folder, "--out", tmp_path / "s.png") == 2
    assert "it only encodes" in " ".join(capsys.readouterr().err.split())


def test_a_map_and_neighbours_are_drawn(run: Run) -> None:
    figures = embedding_panels(run, load_data("digits"))
    assert [figure.name for figure in figures] == ["map", "similar"]
    assert "180 examples" in figures[0].caption
    assert figures[1].picture.size[0] > figures[1].picture.size[1] * 0.9  # ten columns, eight rows


def test_the_same_examples_are_shown_each_time() -> None:
    split = load_data("digits").train
    first, again = some(split, 30), some(split, 30)
    assert len(first) == 30
    assert first.store.digest() == again.store.digest()
    assert first.labels is not None
    assert first.labels.equal(again.labels)  # type: ignore[arg-type]

"""Guidance on the command line: what is asked for happens, and half a wish is refused in one line."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import helpers
from helpers import TINY
from sfumato.diffusion.thresholding import Dynamic, Static

SETTINGS = [f"--set={setting}" for setting in TINY]


def call(capsys, *words: str | Path) -> tuple[int, str]:  # type: ignore[no-untyped-def]
    """Run the command line in this process; return its exit code and all it said, in one line."""
    capsys.readouterr()
    code = helpers.call(*words)
    said = capsys.readouterr()
    assert "Traceback" not in said.err
    return code, " ".join((said.out + said.err).split())


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cli") / "run"
    assert helpers.call("train", "digits", "--budget", "20steps", "--out", folder, *SETTINGS) == 0
    return folder


def test_a_classifier_is_trained_and_used(run: Path, tmp_path: Path, capsys) -> None:  # type: ignore[no-untyped-def]
    sample = ("sample", run, "-n", "4", "--steps", "3", "--out", tmp_path / "s.npz", "--guidance", "1")
    code, said = call(capsys, *sample, "--classifier-guidance", "2")
    assert (code, f"sfumato classifier {run}" in said) == (2, True)
    code, said = call(capsys, "classifier", run, "--budget", "15steps")
    assert code == 0
    assert "% with noise 0.1 times the signal" in said
    assert call(capsys, *sample, "--classifier-guidance", "2")[1].count("9 network evaluations") == 1
    assert "3 network evaluations" in call(capsys, *sample, "--classifier-guidance", "0")[1]
    # The last two of three questions lie outside.
    interval = ("--guidance-interval", "0.9", "1")
    assert "5 network evaluations" in call(capsys, *sample, "--classifier-guidance", "2", *interval)[1]
    assert "4 network evaluations" in call(capsys, *sample, "--guidance", "2", *interval)[1]


def test_a_weaker_run_is_asked_too(run: Path, tmp_path: Path, capsys) -> None:  # type: ignore[no-untyped-def]
    sample = ("sample", run, "-n", "4", "--steps", "3", "--guidance", "1", "--out", tmp_path / "s.npz")
    assert "6 network evaluations" in call(capsys, *sample, "--weaker", run)[1]
    assert "3 network evaluations" in call(capsys, *sample, "--weaker", run, "--weaker-guidance", "1")[1]


def test_scores_are_those_of_the_guided_samples_and_say_so(
    run: Path, tmp_path: Path, capsys, monkeypatch
) -> None:  # type: ignore[no-untyped-def]
    import sfumato.app.scoring as scoring

    asked = []
    plain = scoring.sample_all

    def remembered(*given):  # type: ignore[no-untyped-def]
        asked.append(given[1].options)
        return plain(*given)

    monkeypatch.setenv("SFUMATO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(scoring, "sample_all", remembered)
    evaluate = ("evaluate", run, "-n", "20", "--steps", "2", "--guidance", "2")
    words = ("--guidance-interval", "0.5", "1", "--weaker", run, "--threshold", "dynamic")
    assert call(capsys, *evaluate, *words)[0] == 0
    kept = json.loads((run / "scores.json").read_text())
    assert kept["guidance_interval"] == [0.5, 1]
    assert (kept["weaker"], kept["weaker_guidance"], kept["classifier_guidance"]) == (str(run), 2, None)
    assert asked[0].interval == (0.5, 1)
    assert asked[0].threshold == Dynamic()
    assert kept["threshold"] == repr(Dynamic())
    [guide] = asked[0].guides
    assert guide.keywords["weight"] == 2
    assert call(capsys, *evaluate)[0] == 0
    kept = json.loads((run / "scores.json").read_text())
    assert (kept["weaker"], kept["threshold"]) == (None, repr(Static()))
    assert call(capsys, *evaluate, "--threshold", "none")[0] == 0
    assert json.loads((run / "scores.json").read_text())["threshold"] is None
    assert asked[1].guides == ()


def test_a_picture_is_kept_where_the_mask_is_white(run: Path, tmp_path: Path, capsys) -> None:  # type: ignore[no-untyped-def]
    picture = np.arange(64, dtype=np.uint8).reshape(8, 8) * 3
    Image.fromarray(picture).save(tmp_path / "p.png")
    Image.fromarray(np.repeat([[255] * 4 + [0] * 4], 8, 0).astype(np.uint8)).save(tmp_path / "m.png")
    words = ("--inpaint", tmp_path / "p.png", "--mask", tmp_path / "m.png", "--out", tmp_path / "s.npz")
    assert call(capsys, "sample", run, "-n", "3", "--steps", "3", *words)[0] == 0
    images = np.load(tmp_path / "s.npz")["images"]
    assert np.array_equal(images[:, :, :4], np.broadcast_to(picture[:, :4], (3, 8, 4)))


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--weaker-guidance", "2"), "--weaker RUN"),
        (("--weaker", "nowhere"), "no run folder"),
        (("--mask", "m.png"), "--inpaint and --mask"),
        (("--inpaint", "p.png", "--mask", "m.png"), "there is no picture 'p.png'"),
        (("--guidance-interval", "0.8", "0.2"), "interval"),
        (("--guidance-interval", "0.2", "0.8", "--guidance", "1"), "add --guidance W with a W other than 1"),
        (("--threshold", "hard"), "Unknown threshold 'hard'"),
        (("--classifier-guidance", "-1"), "classifier-guidance"),
    ],
)
def test_half_a_wish_is_refused(words: tuple[str, ...], expected: str, run: Path, capsys) -> None:  # type: ignore[no-untyped-def]
    code, said = call(capsys, "sample", run, *words)
    assert code == 2
    assert expected in said


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--weaker-guidance", "2"), "--weaker RUN"),
        (("--guidance-interval", "0.2", "0.8", "--guidance", "1"), "add --guidance W"),
    ],
)
def test_nor_is_it_scored(words: tuple[str, ...], expected: str, run: Path, capsys) -> None:  # type: ignore[no-untyped-def]
    code, said = call(capsys, "evaluate", run, *words)
    assert (code, expected in said) == (2, True)


def test_points_have_no_range_and_an_unlabelled_run_no_classes(tmp_path: Path, capsys) -> None:  # type: ignore[no-untyped-def]
    folder = tmp_path / "roll"
    assert call(capsys, "train", "swiss-roll", "--budget", "3steps", "--out", folder)[0] == 0
    assert "without labels" in call(capsys, "classifier", folder)[1]
    code, said = call(capsys, "sample", folder, "--threshold", "static")
    assert (code, "for bounded data" in said) == (2, True)
    assert "without labels" in call(capsys, "sample", folder, "--classifier-guidance", "2")[1]
    assert "leave it out" in call(capsys, "sample", folder, "--guidance-interval", "0.2", "0.8")[1]
    assert "square pictures" in call(capsys, "sample", folder, "--inpaint", "p.png", "--mask", "m.png")[1]
    assert (
        call(capsys, "sample", folder, "--threshold", "none", "-n", "4", "--out", tmp_path / "s.npz")[0] == 0
    )
    assert call(capsys, "classifier", tmp_path / "nowhere")[0] == 2

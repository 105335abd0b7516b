"""`sfumato verify` as its users meet it: a table, JSON, exit codes, pictures."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import helpers
from sfumato.app import lecture_plots
from sfumato.verify import run
from sfumato.verify.law import Finding, Subject


def call(*words: str | Path) -> int:
    """Run `sfumato verify` in this process and return its exit code."""
    return helpers.call("verify", *words)


def test_the_table_of_a_sampler(capsys):
    assert call("--only", "* linear_vp heun", "--processes", "1") == 0
    shown = capsys.readouterr()
    (row,) = (line for line in shown.out.splitlines() if "heun" in line)
    assert row.split()[:3] == ["linear_vp", "heun", "7/7"]
    order, expected = row.split()[3].split("/")
    assert float(order) == pytest.approx(2, abs=0.15)
    assert expected == "2"
    assert "all laws hold" in shown.err


def test_every_prediction_has_a_row_of_its_own(capsys):
    assert call("--only", "* cosine_vp ddim", "--all", "--processes", "1") == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines() if "ddim" in line]
    assert {row[2] for row in rows} == {"data", "v", "velocity", "edm", "previous"}
    assert {row[-1] for row in rows} == {"✓"}


def test_json_holds_every_finding(capsys):
    assert call("--only", "gaussians", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["passed"] is True
    assert report["theory"]["heun"]["order"] == 2
    assert {finding["law"] for finding in report["findings"]} >= {"KL(N ‖ N)", "log N(x; m, s)"}
    for finding in report["findings"]:
        assert finding["passed"] == (abs(finding["measured"] - finding["expected"]) <= finding["tolerance"])


def wrong():
    yield Subject("sampler", {"schedule": "betas", "sampler": "heun"}).within("order", 1.0, 2.0, 0.15)
    yield Subject("likelihood", {"schedule": "betas"}).below("gap", 0.3, 0.1)


def crash():
    raise ValueError("[bold]broken[/]")
    yield


def test_a_failure_is_named_with_where_to_look_and_leaves_with_1(monkeypatch, capsys):
    tasks = [run.Task("wrong", wrong), run.Task("crash", crash)]
    monkeypatch.setattr("sfumato.app.verify.chosen_tasks", lambda only: tasks)
    assert call("--processes", "1") == 1
    said = capsys.readouterr().err
    assert "order: measured 1, should be 2 ± 0.15" in " ".join(said.split())
    assert "sfumato.diffusion.samplers.ode" in said
    assert "ValueError: [bold]broken[/]" in said
    assert "3 of 3 laws failed" in said
    assert call("--json", "--processes", "1") == 1
    assert json.loads(capsys.readouterr().out)["passed"] is False


def test_a_pattern_that_matches_nothing_is_an_error(capsys):
    assert call("--only", "hoin") == 2
    assert "no law matches 'hoin'" in capsys.readouterr().err


def test_the_pictures_are_drawn(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(lecture_plots, "POINTS", 100)
    assert call("--only", "gaussians", "--plots", tmp_path / "new") == 0
    names = {path.name for path in (tmp_path / "new").iterdir()}
    assert names == {"why-beta-is-small.png", "signal-left.png", "linear-and-cosine.png", "diffusion.png"}
    for name in names:
        picture = np.asarray(Image.open(tmp_path / "new" / name).convert("L"))
        # Lines and points on a white page: something is drawn, and most of it is left free.
        assert 0.005 < (picture < 200).mean() < 0.6, name
    assert capsys.readouterr().err.count("drew") == 4


def test_the_cloud_comes_back():
    mixture, schedule = lecture_plots.cloud_mixture(), lecture_plots.CosineVP()
    (first, noise), *_, (last, data) = lecture_plots.walked_back(mixture, schedule, 200)
    assert (first, last) == (1.0, 0.0)
    nearest = (data[:, None] - mixture.means).norm(dim=2).min(1).values
    # Deviation 0.1 in the plane: all but e^{−4.5²/2} of the points lie within 0.45 of a centre.
    assert float(nearest.max()) < 0.5
    assert float(noise.std()) == pytest.approx(1, abs=0.1)


def test_findings_speak_plainly():
    finding = Finding("order", {"sampler": "heun"}, "order", 1.0, 2.0, 0.15, False)
    assert str(finding) == "order heun: order: measured 1, should be 2 ± 0.15"

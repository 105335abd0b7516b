"""Distillation as its users meet it: a run folder like any other, whose one step beats its teacher's."""

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import sfumato
from helpers import call, captioned_folder, exhaust, tiny_training
from sfumato.errors import ConfigError, RunError
from sfumato.families.distillation import Distillation
from sfumato.metrics.frechet import frechet_between
from sfumato.runs.build import refuse_idle_interval
from sfumato.runs.config import parse_config
from sfumato.runs.distillation import distilled_config
from sfumato.runs.distilling import begin_distillation
from sfumato.runs.run import CHECKPOINT, Run
from sfumato.train import comparable
from sfumato.train.budget import Budget
from sfumato.train.checkpoint import load
from sfumato.train.events import Stepped
from sfumato.train.signals import StopRequest


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("distill") / "teacher"
    training = tiny_training(folder, 300, "training.batch=64", "training.learning_rate=0.006")
    training.begin()
    exhaust(training)
    return Run.open(folder)


def _changed(teacher: Run, **sections: dict[str, Any]) -> Run:
    """Return the teacher as if it had been configured otherwise."""
    tree = teacher.config.model_dump(mode="json")
    tree |= {name: tree[name] | changes for name, changes in sections.items()}
    changed = copy.copy(teacher)
    changed.model = replace(teacher.model, config=parse_config(tree))
    return changed


def _guidance(teacher: Run, budget: Budget | None = None, asked: float | None = None) -> float:
    """Return the weight of guidance that a student of `teacher` is taught with."""
    config = distilled_config(teacher, 1, 0, (), budget, asked)
    assert config.distilled is not None
    return config.distilled.guidance


def _distance(images: np.ndarray) -> float:
    """Return the Fréchet distance of pictures from real digits, on their pixels as they are."""
    data = sfumato.load_data("digits").train
    real, _ = data.batch(torch.arange(len(data)))
    return frechet_between(real.flatten(1).double() / 255, torch.from_numpy(images).flatten(1).double() / 255)


def test_the_game_is_played_with_a_short_memory_before_it_is_settled(teacher: Run, tmp_path: Path) -> None:
    training = begin_distillation(teacher, tmp_path / "run", Budget("steps", 8), 1, 0)
    groups = [group for rule in training.fit._optimisers.values() for group in rule[0].param_groups]
    assert [group["betas"] for group in groups] == [(0.5, 0.99)] * 2
    rates = [event.learning_rate for event in training.events(StopRequest()) if isinstance(event, Stepped)]
    # Eight of the 20 steps of rise, of which the last three lie in the half that falls.
    expected = [5e-4 * (step + 1) / 20 * min(1, (8 - step) / 4) for step in range(8)]
    assert rates == pytest.approx(expected, rel=1e-9)


def test_no_average_is_chosen_by_a_critic_that_knows_none(teacher: Run, tmp_path: Path) -> None:
    training = begin_distillation(teacher, tmp_path / "run", Budget("steps", 8), 1, 0)
    exhaust(training)
    assert Run.open(tmp_path / "run").average == "middle"


@pytest.mark.parametrize(
    ("budget", "weight"), [("30s", 2.4), ("200s", 2.2), ("600s", 2.0), ("100000steps", 2.4)]
)
def test_the_longer_a_distillation_the_less_clearer_its_teacher(
    teacher: Run, budget: str, weight: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparable, "fast_bf16", lambda device: True)
    guided = _changed(teacher, sampling={"guidance": 2.0}, data={"shape": [1, 28, 28]})
    assert _guidance(guided, Budget.parse(budget)) == pytest.approx(weight)
    # Pictures of 8×8 leave nothing unclear.
    assert _guidance(_changed(teacher, sampling={"guidance": 2.0}), Budget.parse(budget)) == 2


def test_the_guidance_that_is_asked_for_goes_before_what_suits_the_budget(teacher: Run) -> None:
    large = {"shape": [1, 28, 28]}
    assert _guidance(_changed(teacher, data=large)) == pytest.approx(1.2)
    assert _guidance(_changed(teacher, data=large), asked=1.5) == 1.5
    of_each = _changed(teacher, sampling={"guidance": {"label": 3.0}})
    with pytest.raises(ConfigError, match="--guidance, such as 3"):
        _guidance(of_each)
    assert _guidance(of_each, asked=1.5) == 1.5


def test_a_teacher_that_cannot_be_guided_is_asked_as_it_is(teacher: Run) -> None:
    unguidable = _changed(teacher, training={"condition_drop": 0.0}, data={"shape": [1, 28, 28]})
    assert _guidance(unguidable) == 1
    with pytest.raises(ConfigError, match=r"training\.condition_drop=0\.1"):
        _guidance(unguidable, asked=1.5)


@pytest.mark.slow
def test_one_step_becomes_as_varied_as_many(teacher: Run, tmp_path: Path) -> None:
    student = sfumato.distill(teacher, tmp_path / "student", budget="450steps", steps=1)
    request = student.request(4)
    *_, last = student.walk(request, range(4))
    assert last.moment.evaluations == 1
    many, jumped = _distance(teacher.sample(400)), _distance(teacher.sample(400, steps=1))
    distilled = _distance(student.sample(400))
    assert many < jumped
    # One jump of the teacher blurs. Distilled for seconds, a tiny network closes a good part of the gap.
    assert distilled - many < 0.75 * (jumped - many)


def test_a_distilled_run_is_a_run_like_any_other(teacher: Run, tmp_path: Path, capsys) -> None:  # type: ignore[no-untyped-def]
    out = tmp_path / "two"
    asked = ("--steps", "2", "--guidance", "1.5", "--budget", "6steps")
    assert call("distill", teacher.folder, *asked, "--out", out) == 0
    assert "taught with a guidance of 1.5" in capsys.readouterr().err
    names = {path.name for path in out.iterdir()}
    wanted = {"config.json", "checkpoint.safetensors", "teacher.safetensors", "log.jsonl", "report.html"}
    assert wanted <= names
    config = json.loads((out / "config.json").read_text())
    assert config["recipe"] == "distilled"
    assert config["distilled"] == {"teacher": str(teacher.folder), "guidance": 1.5}
    capsys.readouterr()
    assert call("sample", out, "-n", "12", "--out", tmp_path / "s.png") == 0
    assert "2 network evaluations each" in capsys.readouterr().out
    # Its report can be made and it goes on without the teacher's folder.
    assert call("train", "--resume", "--out", out, "--budget", "9steps") == 0
    assert load(out / CHECKPOINT).state["done"]["steps"] == 9  # type: ignore[index]


def test_a_teacher_s_guidance_goes_into_its_student_and_is_no_longer_limited(teacher: Run) -> None:
    guided = copy.copy(teacher)
    settings = ("sampling.guidance=2.0", "sampling.guidance_interval=[0.2,0.8]")
    guided.model = replace(teacher.model, config=teacher.config.with_settings(settings))
    config = distilled_config(guided, 1, 0)
    assert config.distilled is not None
    assert config.distilled.guidance == 2
    refuse_idle_interval(config)
    with pytest.raises(ConfigError, match=r"sampling\.guidance=1 is none"):
        refuse_idle_interval(config.with_settings(("sampling.guidance_interval=[0.2,0.8]",)))


def test_resumed_is_uninterrupted_bitwise(teacher: Run, tmp_path: Path) -> None:
    for name, halves in (("whole", False), ("halves", True)):
        training = begin_distillation(teacher, tmp_path / name, Budget("steps", 12), 1, 0)
        exhaust(training, stop_after=5 if halves else None)
    config, dataset = Run.open(tmp_path / "halves").config, sfumato.load_data("digits")
    from sfumato.runs.fitting import Training

    again = Training(config, dataset, tmp_path / "halves", Budget("steps", 12))
    again.resume()
    exhaust(again)
    one, two = (load(tmp_path / name / CHECKPOINT).tensors for name in ("whole", "halves"))
    assert one.keys() == two.keys()
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert any(name.startswith("critic.weights") for name in one)


def test_both_players_move_at_their_own_pace(teacher: Run, tmp_path: Path) -> None:
    training = begin_distillation(teacher, tmp_path / "run", Budget("steps", 3), 1, 0)
    game = training.fit.family
    assert isinstance(game, Distillation)
    before = {p.name: p.module.stem.weight.detach().clone() for p in game.players()}  # type: ignore[union-attr]
    fixed = game.teacher.module.stem.weight.detach().clone()  # type: ignore[union-attr]
    assert torch.equal(before["denoiser"], fixed)
    for _ in training.events(StopRequest()):
        pass
    moved = {p.name: (p.module.stem.weight.detach() - before[p.name]).norm() for p in game.players()}  # type: ignore[union-attr]
    assert float(moved["critic"]) > float(moved["denoiser"]) > 0
    assert torch.equal(game.teacher.module.stem.weight, fixed)  # type: ignore[union-attr]


def test_what_cannot_be_distilled_is_refused(teacher: Run, tmp_path: Path, capsys) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ConfigError, match="steps"):
        distilled_config(teacher, 9, 0)
    assert call("distill", teacher.folder, "--steps", "7", "--out", tmp_path / "x") == 2
    assert not (tmp_path / "x").exists()
    assert call("distill", tmp_path / "none", "--out", tmp_path / "x") == 2
    assert call("distill", teacher.folder, "--guidance", "inf", "--out", tmp_path / "x") == 2
    assert call("distill", teacher.folder, "--out", teacher.folder) == 2
    assert "--out" in capsys.readouterr().err
    begin_distillation(teacher, tmp_path / "once", Budget("steps", 1), 1, 0)
    with pytest.raises(ConfigError, match="already"):
        distilled_config(Run.open(tmp_path / "once"), 1, 0)
    with pytest.raises(RunError, match="holds a run"):
        begin_distillation(teacher, tmp_path / "once", Budget("steps", 1), 1, 0)
    assert call("sample", tmp_path / "once", "-n", "4", "--steps", "4", "--out", tmp_path / "s.png") == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "distilled to 1 step" in said
    for other in (("--sampler", "unipc"), ("--grid", "uniform"), ("--guidance", "2")):
        assert call("sample", tmp_path / "once", "-n", "4", *other, "--out", tmp_path / "s.png") == 2
        said = " ".join(capsys.readouterr().err.split())
        assert f"without {other[0]}" in said
        assert "its teacher" in said
    own = ("--sampler", "renoise", "--grid", "fitted", "--guidance", "1", "--steps", "1")
    assert call("sample", tmp_path / "once", "-n", "4", *own, "--out", tmp_path / "s.png") == 0
    assert call("likelihood", tmp_path / "once", "-n", "2") == 2
    assert "has no likelihood" in " ".join(capsys.readouterr().err.split())


def test_a_student_that_is_not_told_what_it_always_was_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pictures, teacher, student = (tmp_path / name for name in ("pictures", "teacher", "student"))
    pictures.mkdir()
    captioned_folder(pictures)
    small = ("network.widths=[16]", "conditions.text.width=16", "conditions.text.layers=1")
    settings = [word for setting in (*small, "training.batch=8") for word in ("--set", setting)]
    assert call("train", pictures, "--budget", "1steps", "--out", teacher, *settings) == 0
    assert call("distill", teacher, "--steps", "1", "--budget", "1steps", "--out", student) == 0
    for folder, words, said in (
        (student, (), True),
        (student, ("--prompt", "a red circle"), False),
        (teacher, ("--steps", "1"), False),
    ):
        capsys.readouterr()
        assert call("sample", folder, "-n", "2", *words, "--out", tmp_path / "s.png") == 0
        heard = " ".join(capsys.readouterr().err.split())
        assert ("never trained without its conditions, and no text is asked for" in heard) == said


def test_from_within_its_folder_the_twin_lies_beside_it(
    teacher: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(teacher.folder)
    assert call("distill", ".", "--budget", "1steps") == 0
    assert (teacher.folder.parent / "teacher-1-step" / CHECKPOINT).is_file()

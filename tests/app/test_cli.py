"""The command line as its users meet it: what works, and what is refused in one line with exit code 2."""

import json
import math
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from helpers import TINY, call
from sfumato.data import load_data

TRAIN = [f"--set={setting}" for setting in (*TINY, "training.learning_rate=0.003")]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cli") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SFUMATO_CACHE", str(folder.parent / "cache"))
        assert call("train", "digits", "--budget", "80steps", "--out", folder, *TRAIN) == 0
    return folder


def test_a_run_folder_holds_what_it_promises(run: Path) -> None:
    names = {path.name for path in run.iterdir()}
    assert {"config.json", "checkpoint.safetensors", "data.json", "log.jsonl", "report.html"} <= names
    assert not [name for name in names if name.endswith(".part")]
    assert json.loads((run / "config.json").read_text())["recipe"] == "images"
    assert list((run / "previews").glob("*.png"))
    rows = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert {"step", "loss of denoiser", "images_per_second", "learning_rate"} <= rows[1].keys() | rows[
        0
    ].keys()
    assert any("held_out_loss_average" in row for row in rows)


def test_sampling_to_every_kind_of_file(run: Path, tmp_path: Path) -> None:
    assert call("sample", run, "-n", "12", "--steps", "3", "--out", tmp_path / "s.npz") == 0
    with np.load(tmp_path / "s.npz", allow_pickle=False) as arrays:
        assert arrays["images"].shape == (12, 8, 8)
        assert arrays["images"].dtype == np.uint8
        assert arrays["labels"].tolist() == [*range(10), 0, 1]
        images = arrays["images"]
    assert call("sample", run, "-n", "12", "--steps", "3", "--out", tmp_path / "s.png") == 0
    assert Image.open(tmp_path / "s.png").size[0] > 80
    assert call("sample", run, "-n", "4", "--steps", "3", "--out", tmp_path / "s.gif") == 0
    assert Image.open(tmp_path / "s.gif").n_frames >= 4
    assert call("sample", run, "-n", "12", "--steps", "3", "--out", tmp_path / "folder") == 0
    files = sorted((tmp_path / "folder").iterdir())
    assert len(files) == 12
    assert np.array_equal(np.asarray(Image.open(files[3])), images[3])
    # What it writes it also reads.
    assert len(load_data(tmp_path / "s.npz").classes) == 10
    assert not list(tmp_path.glob(".*"))


def test_arrays_are_the_same_however_they_are_chunked(run: Path, tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    import sfumato.app.sampling as sampling

    assert call("sample", run, "-n", "9", "--steps", "2", "--out", tmp_path / "one.npz") == 0
    monkeypatch.setattr(sampling, "CHUNK", 4)
    assert call("sample", run, "-n", "9", "--steps", "2", "--out", tmp_path / "two.npz") == 0
    one, two = (np.load(tmp_path / f"{name}.npz")["images"].astype(int) for name in ("one", "two"))
    assert np.abs(one - two).max() <= 8  # rounding of bf16 networks, see test_sampling


def test_scores_are_kept_and_shown(run: Path, tmp_path: Path, capsys, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setenv("SFUMATO_CACHE", str(tmp_path / "cache"))
    assert call("evaluate", run, "-n", "60", "--steps", "3", "--json") == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["samples"] == 60
    assert printed == json.loads((run / "scores.json").read_text())
    assert "Fréchet" in (run / "report.html").read_text()


def test_scored_samples_are_of_the_classes_as_often_as_the_data_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One in forty is a two: of twenty samples asked for in turn seven would be, in proportion none is."""
    monkeypatch.setenv("SFUMATO_CACHE", str(tmp_path / "cache"))
    digits = load_data("digits").train
    found = [(digits.labels == label).nonzero()[:count, 0] for label, count in enumerate((60, 57, 3))]  # type: ignore[union-attr]
    rows = torch.cat(found)
    images, labels = digits.store.take(rows).numpy()[:, 0], digits.labels[rows].numpy()  # type: ignore[index]
    np.savez(tmp_path / "uneven.npz", images=images, labels=labels)
    words = ("--budget", "2steps", "--out", tmp_path / "run", *TRAIN)
    assert call("train", tmp_path / "uneven.npz", *words) == 0
    capsys.readouterr()
    assert call("evaluate", tmp_path / "run", "-n", "20", "--steps", "2", "--json") == 0
    assert json.loads(capsys.readouterr().out)["read_per_class"].keys() == {"0", "1"}


def test_scores_against_other_data_leave_the_report_alone(run: Path, tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setenv("SFUMATO_CACHE", str(tmp_path / "cache"))
    other = load_data("digits").held_out
    np.savez(tmp_path / "other.npz", images=other.store.take(torch.arange(180)).numpy()[:, 0])
    before = (run / "report.html").read_text()
    data = ("--data", tmp_path / "other.npz")
    assert call("evaluate", run, "-n", "40", "--steps", "3", "--guidance", "1", *data) == 0
    kept = json.loads((run / "scores.json").read_text())
    assert kept["data"].endswith("other.npz")
    assert (kept["guidance"], kept["steps"], kept["read_as_asked"]) == (1, 3, None)
    assert (run / "report.html").read_text() == before


def test_data_of_another_form_is_brought_to_the_run_s_or_refused_before_anything_is_sampled(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SFUMATO_CACHE", str(tmp_path / "cache"))
    np.save(tmp_path / "vectors.npy", np.zeros((30, 5), np.float32))
    assert call("evaluate", run, "-n", "40", "--data", tmp_path / "vectors.npy") == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "These examples are vectors" in said
    assert "sampling" not in said
    large = torch.nn.functional.interpolate(
        load_data("digits").held_out.store.take(torch.arange(180)), scale_factor=3
    )
    np.savez(tmp_path / "large.npz", images=large.numpy()[:, 0])
    assert call("evaluate", run, "-n", "40", "--steps", "3", "--data", tmp_path / "large.npz") == 0


@pytest.mark.parametrize(("steps", "much"), [(100, True), (300, False)])
def test_signal_left_where_sampling_starts_from_none_is_said(
    steps: int, much: bool, tmp_path: Path, capsys
) -> None:  # type: ignore[no-untyped-def]
    """sqrt(0.98^100) = 0.36 of a picture is left, of 300 steps 0.05; its share of the state is said."""
    schedule = ("--set", f"schedule.steps={steps}", "--set", f"times.steps={steps}")
    words = ("--recipe", "constant", "--budget", "2steps", "--out", tmp_path / "run", *schedule, *TRAIN)
    assert call("train", "digits", *words) == 0
    said = " ".join(capsys.readouterr().err.split())
    kept = 0.98**steps * json.loads((tmp_path / "run" / "config.json").read_text())["data"]["std"] ** 2
    share = math.sqrt(kept / (kept + 1 - 0.98**steps))
    assert (f"{share:.0%} of the noisiest state is still signal" in said) == much
    assert ("still signal" in said) == much


def test_data_is_described_and_drawn(tmp_path: Path, capsys) -> None:  # type: ignore[no-untyped-def]
    assert call("data", "digits", "--out", tmp_path / "sheet.png") == 0
    assert "1,617 to train on, 180 held out" in capsys.readouterr().out
    assert Image.open(tmp_path / "sheet.png").size[0] > 400


def test_points_are_trained_and_drawn(tmp_path: Path) -> None:
    folder = tmp_path / "moons"
    assert call("train", "moons", "--budget", "30steps", "--out", folder, "--set=training.batch=64") == 0
    assert call("sample", folder, "-n", "50", "--out", tmp_path / "s.gif") == 0
    assert call("sample", folder, "-n", "50", "--out", tmp_path / "s.npz") == 0
    with np.load(tmp_path / "s.npz") as arrays:
        assert arrays["x"].shape == (50, 2)
        assert np.isfinite(arrays["x"]).all()


def test_an_interrupted_run_says_how_to_go_on_and_does(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    words = [
        sys.executable,
        "-m",
        "sfumato",
        "train",
        "digits",
        "--budget",
        "100000steps",
        "--out",
        str(folder),
    ]
    process = subprocess.Popen([*words, *TRAIN], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    log = folder / "log.jsonl"
    for _ in range(600):
        if log.is_file() and log.stat().st_size:
            break
        time.sleep(0.1)
    process.terminate()
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 0
    assert f"sfumato train --resume --out {folder}" in " ".join(said.split())
    config = json.loads((folder / "budget.json").read_text())
    assert config == {"budget": "100000steps"}
    done = _steps(folder)
    assert done > 0
    assert call("train", "--resume", "--out", folder, "--budget", f"{done + 5}steps") == 0
    assert _steps(folder) == done + 5


def _steps(folder: Path) -> int:
    from sfumato.runs.run import Run

    return Run.open(folder).done.steps


def refused(capsys, *words: str | Path) -> str:  # type: ignore[no-untyped-def]
    """Call, insist on exit code 2 and one line without a traceback, and return what was said."""
    capsys.readouterr()
    assert call(*words) == 2
    said = capsys.readouterr().err
    assert "Traceback" not in said
    return " ".join(said.split())


def test_bad_data_is_refused(tmp_path: Path, capsys) -> None:  # type: ignore[no-untyped-def]
    out = ("--out", tmp_path / "never")
    (tmp_path / "empty").mkdir()
    np.save(tmp_path / "small.npy", np.zeros((10, 5, 5), np.uint8))
    for source, words in {
        "no-such-thing": "digits",
        str(tmp_path / "missing/folder"): "missing/folder",
        str(tmp_path / "empty"): "empty",
        str(tmp_path / "small.npy"): "8",
    }.items():
        assert words in refused(capsys, "train", source, *out)
    assert not (tmp_path / "never").exists()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--recipe", "edn"), "Unknown recipe 'edn'"),
        (("--set", "training.bach=3"), "training.batch"),
        (("--set", "schedule=cosine", "--set", "prediction=noise"), "alpha = 0"),
        (("--set", "data.size=16"), "--size"),
        (("--set", 'family={"name": "vae"}'), "family comes with its recipe (--recipe)"),
        (("--set", "family=vae"), "such as family.latent=8"),
        (("--set", "latent.run=x"), "which --latent chooses"),
        (("--set", "recipe=flow"), "--recipe"),
        (("--set", "schedule=5"), "a schedule is a name"),
        (("--set", "training.condition_drop=0"), "condition_drop=0.1"),
        (("--set", "sampling.grid.rho=-1"), "rho"),
        (("--set", 'sampling.sampler={"name": "ancestral", "eta": 2}'), "eta must lie between 0"),
        (("--set", "sampling.guidance_interval=[0.5,0.2]"), "guidance interval"),
        (("--set", "sampling.guidance_interval=[0.2,0.5]"), "set another sampling.guidance"),
        (("--budget", "soon"), "not a budget"),
        (("--size", "4"), "at least 8"),
        (("--background", "blurple"), "blurple"),
        (("--held-out", "1.5"), "held-out"),
        (("--seed", "-1"), "seed"),
    ],
)
def test_bad_settings_are_refused_before_anything_is_written(
    words: tuple[str, ...], expected: str, tmp_path: Path, capsys
) -> None:  # type: ignore[no-untyped-def]
    said = refused(capsys, "train", "digits", "--out", tmp_path / "never", *words)
    assert expected in said
    assert not (tmp_path / "never").exists()


def test_bad_sampling_is_refused_and_leaves_nothing(run: Path, tmp_path: Path, capsys) -> None:  # type: ignore[no-untyped-def]
    before = {path.name: path.stat().st_mtime_ns for path in run.iterdir()}
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    for words, expected in [
        (("--label", "11"), "no class '11'"),
        (("--prompt", "a cat"), "without captions"),
        (("--sampler", "dpm"), "Unknown sampler 'dpm'"),
        (("--out", str(tmp_path / "s.bmpp")), "no known ending"),
        (("--out", str(blocked / "s.png")), "cannot write"),
        (("--out", "/proc/s.npz"), "cannot write"),
        (("--guidance", "-2"), "guidance"),
        (("-n", "500", "--out", str(tmp_path / "s.gif")), "film"),
        (("-n", "0"), "-n"),
        (("--label", "²"), "no class"),
    ]:
        assert expected in refused(capsys, "sample", run, *words)
    assert {path.name: path.stat().st_mtime_ns for path in run.iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_damaged_runs_are_refused(run: Path, tmp_path: Path, capsys) -> None:  # type: ignore[no-untyped-def]
    import shutil

    from safetensors.torch import save_file
    from torch import zeros

    assert "no run folder" in refused(capsys, "sample", tmp_path / "nowhere")
    assert "not a run folder" in refused(capsys, "sample", tmp_path)
    damaged = tmp_path / "damaged"
    shutil.copytree(run, damaged)
    weights = damaged / "checkpoint.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    assert "truncated" in refused(capsys, "sample", damaged)
    save_file({"x": zeros(3)}, weights)
    assert "not written by this version" in refused(capsys, "sample", damaged)
    weights.unlink()
    assert "missing" in refused(capsys, "sample", damaged)
    weights.write_bytes(whole)
    config = damaged / "config.json"
    text = config.read_text()
    config.write_text(text.replace('"blocks": 1', '"blocks": 2'))
    assert "different runs" in refused(capsys, "sample", damaged)
    config.write_text(text[:100])
    assert "not readable JSON" in refused(capsys, "sample", damaged)


def test_resuming_something_else_is_refused(run: Path, capsys) -> None:  # type: ignore[no-untyped-def]
    before = (run / "checkpoint.safetensors").read_bytes()
    resume = ("train", "--resume", "--out", run, "--budget", "200steps")
    assert "training.batch = 16" in refused(capsys, *resume, "--set", "training.batch=32")
    assert "seed" in refused(capsys, *resume, "--seed", "3")
    assert "recipe" in refused(capsys, *resume, "--recipe", "flow")
    assert "data.held_out = 0.1" in refused(capsys, *resume, "--held-out", "0.2")
    assert "sfumato train --resume --out" in refused(capsys, "demo", "--out", run)
    assert "is not what" in refused(capsys, "train", "moons", "--resume", "--out", run)
    assert "used its budget" in refused(capsys, "train", "--resume", "--out", run)
    assert "holds a run already" in refused(capsys, "train", "digits", "--out", run)
    assert (run / "checkpoint.safetensors").read_bytes() == before


def test_black_and_white_is_read_alike_by_all_verbs(tmp_path: Path, monkeypatch, capsys) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setenv("SFUMATO_CACHE", str(tmp_path / "cache"))
    folder, bernoulli = tmp_path / "bw", ("--recipe", "vae", "--set", "family.decoder=bernoulli")
    small = ("--set", "family.width=16", "--set", "training.batch=16", "--held-out", "0.4")
    begun = ("train", "digits", "--binarise", *bernoulli, *small, "--out", folder)
    assert call(*begun, "--budget", "2steps") == 0
    data = json.loads((folder / "config.json").read_text())["data"]
    assert (data["binarise"], data["seed"]) == (True, 0)
    drawn = load_data("digits", held_out=0.4, binarise=True)
    assert data["content_hash"] == drawn.content_hash != load_data("digits", held_out=0.4).content_hash
    assert set(drawn.held_out.store.take(torch.arange(50)).unique().tolist()) == {0, 255}
    assert call("train", "--resume", "--out", folder, "--budget", "3steps") == 0
    capsys.readouterr()
    assert call("evaluate", folder, "-n", "100") == 0
    # Only a run's own data lets scores into its report.
    assert "report.html" in "".join(capsys.readouterr().err.split())
    assert call("reconstruct", folder, "--out", tmp_path / "pairs.png") == 0
    assert "only grey pictures" in refused(capsys, "train", "moons", "--binarise", "--out", tmp_path / "x")


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs a place that even root cannot write")
def test_an_output_that_cannot_be_written_is_refused_before_training(capsys) -> None:  # type: ignore[no-untyped-def]
    said = refused(capsys, "train", "digits", "--budget", "5steps", "--out", "/proc/run", *TRAIN)
    assert "cannot write" in said


def test_help_answers_without_torch() -> None:
    code = "import sys; sys.argv = ['sfumato', '--help']\nfrom sfumato.app.cli.main import main\n"
    code += "try:\n    main()\nexcept SystemExit:\n    pass\nprint('torch' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.strip().endswith("False")
    for verb in ("demo", "train", "sample", "evaluate", "data"):
        assert verb in said


def test_importing_sfumato_imports_nothing_heavy() -> None:
    code = "import sys, sfumato; print(sorted({'torch', 'numpy', 'PIL', 'rich', 'typer'} & set(sys.modules)))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.strip() == "[]"

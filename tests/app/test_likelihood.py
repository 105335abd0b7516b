"""`sfumato likelihood` on tiny runs: its numbers add up, and what they are is said."""

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from helpers import call, captioned_folder, exhaust, tiny_training
from sfumato.app.likelihood import plain_denoiser
from sfumato.app.unseen import held_out, log_scale
from sfumato.data import load_data
from sfumato.data.scaling import Standardise
from sfumato.diffusion.bound import Chain, bound
from sfumato.diffusion.decoder import ContinuousGaussian
from sfumato.diffusion.likelihood import ExactTrace, FlowLikelihood, Hutchinson, value_and_trace
from sfumato.diffusion.schedules import RectifiedFlow
from sfumato.diffusion.variance import FixedSmall
from sfumato.errors import ConfigError
from sfumato.randomness import SeededNoise, generator
from sfumato.recipes import configure
from sfumato.runs.conditions.text import open_tokenizer
from sfumato.runs.fitting import Training, begin_training
from sfumato.runs.run import Run
from sfumato.train.budget import Budget

STEPS = 12


def trained(folder: Path, *settings: str) -> Path:
    training = tiny_training(folder, 3, *settings)
    training.begin()
    exhaust(training)
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """Digits, with a variance of its own and the steps of its chain."""
    chain = ["schedule=linear-betas", f"schedule.steps={5 * STEPS}", "prediction=v", "variance=learned"]
    times = ["times=steps", f"times.steps={STEPS}", "objective=hybrid"]
    return trained(tmp_path_factory.mktemp("likelihood") / "run", *chain, *times)


@pytest.fixture(scope="module")
def points(tmp_path_factory) -> Path:
    """Points in the plane, with another scale along each axis."""
    folder = tmp_path_factory.mktemp("likelihood")
    draws = np.random.default_rng(0).normal(size=(200, 2)) * (10.0, 0.2) + (3.0, -1.0)
    np.save(folder / "points.npy", draws.astype(np.float32))
    dataset = load_data(str(folder / "points.npy"))
    smooth = ["schedule=flow", "prediction=v", "network.width=16", "network.layers=1", "training.batch=32"]
    training = Training(configure(dataset, settings=smooth), dataset, folder / "run", Budget("steps", 3))
    training.begin()
    exhaust(training)
    return folder / "run"


def numbers(capsys: pytest.CaptureFixture[str], *words: str | Path) -> dict:
    capsys.readouterr()
    assert call("likelihood", *words, "--json") == 0
    return json.loads(capsys.readouterr().out)


def test_pictures(run: Path, capsys) -> None:
    found = numbers(capsys, run, "-n", "20")
    bound, flow = found["bound"], found["flow"]
    assert found["examples"] == 20
    assert found["dimensions"] == 64
    assert found["given"] == ["label"]
    assert bound["chain_steps"] == bound["evaluations"] == STEPS
    assert bound["variance"] == "LearnedRange"
    parts = sum(bound[name]["nats"] for name in ("prior", "steps", "decoder"))
    assert bound["total"]["nats"] == pytest.approx(parts, rel=1e-9)
    for summary in (bound["total"], flow["total"], bound["decoder"]):
        assert summary["nats"] == pytest.approx(64 * math.log(2) * summary["bits_per_dimension"], rel=1e-9)
        assert summary["standard_error"] > 0
    # An untrained network knows next to nothing, yet the bins bound what a value can cost.
    assert 1 < flow["total"]["bits_per_dimension"] < 20
    assert flow["dequantised"]
    assert flow["trace"] == "hutchinson"
    assert flow["products"] == flow["evaluations"] > 5
    assert flow["start_noise"] == pytest.approx(0.1, abs=0.1)


def test_numbers_are_those_of_the_seed(run: Path, capsys) -> None:
    words = (run, "-n", "3", "--steps", "2", "--probes", "2")
    one, again, other = (numbers(capsys, *words, "--seed", seed) for seed in ("1", "1", "2"))
    assert one == again
    assert one["bound"]["total"] != other["bound"]["total"]
    assert one["flow"]["total"] != other["flow"]["total"]
    assert one["flow"]["products"] == 2 * one["flow"]["evaluations"]
    assert one["bound"]["chain_steps"] == 2


def test_points_have_a_density_in_their_own_units(points: Path, capsys) -> None:
    found = numbers(capsys, points, "-n", "16", "--steps", "20")
    assert found["flow"]["trace"] == "exact"
    assert found["flow"]["products"] == 2 * found["flow"]["evaluations"]
    assert not found["flow"]["dequantised"]
    assert found["given"] == []
    # A density of standardised data, per unit of the data: the product of its scales is taken out again.
    opened = Run.open(points)
    stretch = math.log(math.prod(opened.config.scaling["std"]))
    held_out = load_data(opened.config.data.source).held_out
    some = torch.randperm(len(held_out), generator=generator(0, "likelihood"))[:16]
    values = opened.scaling.to_model(held_out.batch(some)[0])
    likelihood = FlowLikelihood(ExactTrace(), rtol=1e-6, atol=1e-6)
    nats = -likelihood(plain_denoiser(opened), values, None).log_prob.mean() + stretch
    assert found["flow"]["total"]["nats"] == pytest.approx(float(nats), abs=0.01)
    chain = Chain(RectifiedFlow(), 20, FixedSmall(), ContinuousGaussian())
    with torch.no_grad():
        nats = bound(plain_denoiser(opened), chain, values, SeededNoise(range(16))).total.mean() + stretch
    assert found["bound"]["total"]["nats"] == pytest.approx(float(nats), rel=1e-4)


def test_a_scaling_stretches_a_volume() -> None:
    scaling = Standardise((1.0, 2.0), (0.5, 8.0))
    assert log_scale(scaling, torch.ones(3, 2)) == pytest.approx(math.log(4.0), rel=1e-5)


def test_what_is_measured_is_said(run: Path, capsys) -> None:
    capsys.readouterr()
    assert call("likelihood", run, "-n", "2", "--steps", "2") == 0
    shown = capsys.readouterr()
    said = " ".join(shown.err.split())
    assert "given the label of each" in shown.out
    assert "bits per dimension" in shown.out
    assert "bound: no less than −log P of the bytes" in said
    assert "uniform dequantisation" in said
    assert "random probes" in said
    assert "learned guidance" not in said


def begun(folder: Path, source: Path, *settings: str) -> Run:
    """A small run of one step on `source`."""
    dataset = load_data(str(source))
    config = configure(dataset, settings=("network.widths=[16]", "training.batch=8", *settings))
    training = begin_training(config, dataset, folder, Budget("steps", 1))
    exhaust(training)
    return Run.open(folder, "cpu")


def test_captions_are_told_and_their_lack_is_said(tmp_path: Path, capsys) -> None:
    source, bare = tmp_path / "scenes", tmp_path / "bare"
    source.mkdir()
    captioned_folder(source)
    small = ("conditions.text.width=16", "conditions.text.layers=1")
    run = begun(tmp_path / "run", source, *small)
    dataset = load_data(str(source))
    examples, split = held_out(run, dataset, 4, 0), dataset.held_out
    some = torch.randperm(len(split), generator=generator(0, "likelihood"))[:4]
    assert split.captions is not None
    words = open_tokenizer(run.folder).encode([split.captions[place] for place in some.tolist()])
    assert examples.condition is not None
    assert torch.equal(examples.condition.values["text"], words)
    assert not bool(examples.condition.dropped["text"].any())
    shutil.copytree(source, bare)
    (bare / "metadata.csv").unlink()
    assert held_out(run, load_data(str(bare)), 4, 0).condition is None
    assert "does not tell text" in " ".join(capsys.readouterr().err.split())


def test_data_that_has_changed_is_not_taken_for_the_run_s_own(tmp_path: Path, capsys, monkeypatch) -> None:
    source, other = tmp_path / "scenes", tmp_path / "other"
    source.mkdir()
    captioned_folder(source)
    run = begun(tmp_path / "run", source, "conditions.text.width=16", "conditions.text.layers=1")

    def enough(*given: object, **more: object) -> None:
        raise ConfigError("it was read")

    # What follows the reading takes long, and is tested elsewhere.
    monkeypatch.setattr("sfumato.app.grid_fitting.fit_run_grid", enough)
    monkeypatch.setattr("sfumato.app.likelihood.held_out", enough)

    def said(*words: str | Path) -> str:
        assert call(words[0], run.folder, *words[1:]) == 2
        told = " ".join(capsys.readouterr().err.split())
        assert "it was read" in told
        return told

    for verb in ("fit-grid", "likelihood"):
        assert "has changed" not in said(verb)
    Image.new("RGB", (16, 16), "white").save(source / "0.png")
    shutil.copytree(source, other)
    for verb in ("fit-grid", "likelihood"):
        assert "was trained on: it has changed since" in said(verb)
    assert "has changed" not in said("likelihood", "--data", other)  # who names data knows that it is other


def test_what_makes_pictures_larger_is_told_the_small_ones(tmp_path: Path) -> None:
    captioned_folder(tmp_path)
    picture = '{"picture":{"name":"picture","shape":[3,4,4]}}'
    run = begun(
        tmp_path / "run", tmp_path, f"conditions={picture}", "sampling.guidance=1", "objective=denoising"
    )
    examples = held_out(run, load_data(str(tmp_path)), 4, 0)
    assert examples.condition is not None
    small = examples.condition.values["picture"]
    assert small.shape == (4, 4, 4, 4)
    # Of bytes: their means are rounded to one, half a step of 2/255 in [−1, 1].
    means = torch.nn.functional.avg_pool2d(examples.values, 4)
    torch.testing.assert_close(small[:, :3], means, rtol=0, atol=1.01 / 255)
    assert not bool(small[:, 3].any())


def test_a_schedule_that_starts_with_noise_has_no_bound(tmp_path: Path, capsys) -> None:
    folder = trained(tmp_path / "run", "schedule=exploding", "prediction=edm", "sampling.grid=log-snr")
    found = numbers(capsys, folder, "-n", "2")
    assert "bound" not in found
    assert math.isfinite(found["flow"]["total"]["nats"])
    assert call("likelihood", folder, "-n", "2") == 0
    said = " ".join(capsys.readouterr().err.split())
    assert "bound: none, because GeometricVE has noise at t = 0" in said
    assert "this run learned guidance of 1.5, so it is sharper than its data" in said
    assert call("likelihood", folder, "-n", "2", "--steps", "5") == 2
    assert "GeometricVE makes none" in " ".join(capsys.readouterr().err.split())


def test_gradients_of_the_network_reach_the_trace(run: Path) -> None:
    """The run's own denoiser keeps no graph; the bare network's trace is that of finite differences."""
    opened = Run.open(run)
    denoiser, t = plain_denoiser(opened), torch.tensor(0.6, dtype=torch.float64)
    for module in opened.family.module.modules():
        for name, weights in module.named_parameters(recurse=False):
            # The head starts at zero, which would hide the network.
            weights.data = torch.randn(weights.shape, generator=torch.Generator().manual_seed(len(name))) / 4
    x = torch.randn(1, 1, 8, 8, generator=torch.Generator().manual_seed(0))

    def field(y: torch.Tensor) -> torch.Tensor:
        return denoiser.estimate(y, t).x0

    class Signs:
        def normal(self, shape):
            return torch.randn(*shape, generator=torch.Generator().manual_seed(3))

    u = Hutchinson(1).directions(x, Signs())
    _, trace = value_and_trace(field, x, u)
    with torch.no_grad():
        step = 1e-2
        along = (field(x + step * u[0]) - field(x - step * u[0])) / (2 * step)
    # float32 and a difference of second order: three digits.
    assert float(trace) == pytest.approx(float((along * u[0]).sum()), rel=2e-2)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--steps", "5000"), "use at most 60 steps"),
        (("--data", "moons"), "These examples are vectors"),
    ],
)
def test_what_cannot_be_is_refused(run: Path, capsys, words, complaint) -> None:
    capsys.readouterr()
    assert call("likelihood", run, "-n", "2", *words) == 2
    error = " ".join(capsys.readouterr().err.split())
    assert complaint in error
    assert "Traceback" not in error


def test_probes_of_a_trace_that_is_exact_are_refused(points: Path, capsys) -> None:
    capsys.readouterr()
    assert call("likelihood", points, "-n", "2", "--probes", "3") == 2
    error = " ".join(capsys.readouterr().err.split())
    assert "computed in full in up to 32 dimensions, and this data has 2: leave --probes out" in error


def test_help_shows_an_example(capsys) -> None:
    assert call("likelihood", "--help") == 0
    assert "sfumato likelihood runs/demo -n 128" in capsys.readouterr().out

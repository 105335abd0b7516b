"""Guidance of a trained run: what it needs, what it does, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from helpers import digits, exhaust, tiny_training
from sfumato.diffusion.guidance import Measured
from sfumato.errors import ConfigError, DataError, RunError
from sfumato.runs.classifier import CLASSIFIER, ClassifierTraining, build_classifier, load_classifier
from sfumato.runs.config import parse_config
from sfumato.runs.guides import classifier_guide, inpaint_guide, weaker_guide
from sfumato.runs.run import Run
from sfumato.train.budget import Budget
from sfumato.train.signals import StopRequest

STEPS = {"steps": 5, "guidance": 1.0}


def trained(folder: Path, steps: int, *settings: str) -> Run:
    training = tiny_training(folder, steps, "training.learning_rate=0.003", *settings)
    training.begin()
    exhaust(training)
    return Run.open(folder)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    run = trained(tmp_path_factory.mktemp("guides") / "run", 120)
    training = ClassifierTraining(run.config, digits(), run.folder, Budget("steps", 100), seed=0)
    for _ in training.events(StopRequest()):
        pass
    accuracy = training.accuracy()
    # 100 steps read most digits under little noise, and about one in ten, a guess, under much.
    assert accuracy[0.1] > 0.7 > 0.4 > accuracy[10.0]
    training.save(accuracy)
    return run


@pytest.fixture(scope="module")
def weak(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return trained(tmp_path_factory.mktemp("guides") / "weak", 10)


def last(run: Run, n: int = 8, **wish) -> tuple[np.ndarray, int]:  # type: ignore[no-untyped-def]
    request = run.request(n, **{**STEPS, **wish})
    *_, chunk = run.walk(request, range(n))
    return chunk.state, chunk.moment.evaluations


def test_the_classifier_leads_towards_the_label(run: Run) -> None:
    """A judge that had no part in it, the nearest real digit, reads more of what was asked for.

    With classifier-free guidance of weight 0 the model itself knows no label: one in ten is right by chance,
    and 60 samples know that to 0.04.
    """
    examples, labels = digits().train.batch(torch.arange(1000))
    assert labels is not None

    def read(weight: float) -> float:
        guides = [classifier_guide(run, weight)]
        state, evaluations = last(run, 60, guides=guides, guidance=0.0, steps=18)
        # One without the label, and two for the classifier: forward and backward.
        assert evaluations == 18 * (1 + 2 * (weight > 0))
        distance = torch.cdist(torch.from_numpy(state).flatten(1).float(), examples.flatten(1).float())
        return float((labels[distance.argmin(1)] == torch.arange(60) % 10).double().mean())

    assert read(0.0) < 0.3
    assert read(8.0) > 0.5


def test_a_classifier_within_no_visited_time_changes_nothing(run: Run) -> None:
    guide = classifier_guide(run, 3.0, (0.0, 1e-9))
    state, evaluations = last(run, guides=[guide])
    assert np.array_equal(state, last(run)[0])
    assert evaluations == 5


def test_a_run_without_a_classifier_names_the_verb(weak: Run) -> None:
    with pytest.raises(RunError, match="sfumato classifier"):
        classifier_guide(weak, 2.0)


def test_a_run_that_is_told_no_labels_has_nothing_to_classify(tmp_path: Path) -> None:
    """Though its data has classes."""
    unguided = ("conditions={}", "sampling.guidance=1", "objective=denoising")
    config = tiny_training(tmp_path, 1, *unguided).config
    assert config.data.classes
    with pytest.raises(ConfigError, match="trained without labels"):
        build_classifier(config)


def test_a_classifier_of_another_run_is_refused(run: Run, weak: Run) -> None:
    tree = run.config.model_dump(mode="json")
    tree["schedule"] = "cosine"
    (weak.folder / CLASSIFIER).write_bytes((run.folder / CLASSIFIER).read_bytes())
    assert load_classifier(weak.folder, weak.config, weak.device) is not None
    with pytest.raises(RunError, match="another run"):
        load_classifier(weak.folder, parse_config({**tree, "prediction": "v"}), weak.device)
    (weak.folder / CLASSIFIER).unlink()


def test_a_weaker_run_leads_away_and_of_weight_1_is_not_asked(run: Run, weak: Run) -> None:
    plain, evaluations = last(run)
    same, asked = last(run, guides=[weaker_guide(run, weak, 1.0)])
    assert np.array_equal(same, plain)
    assert asked == evaluations == 5
    led, asked = last(run, guides=[weaker_guide(run, weak, 2.0)])
    assert not np.array_equal(led, plain)
    assert asked == 10
    alone, _ = last(run, guides=[weaker_guide(run, weak, 0.0)])
    assert np.abs(alone.astype(int) - last(weak)[0]).max() <= 8  # bf16's rounding, see test_sampling


def test_a_run_on_another_schedule_cannot_guide(run: Run, tmp_path: Path) -> None:
    other = trained(tmp_path / "other", 1, "schedule=cosine", "prediction=v", "sampling.grid=uniform")
    with pytest.raises(ConfigError, match=r"cannot guide .*: its schedule is CosineVP"):
        weaker_guide(run, other, 2.0)


def test_inpainting_keeps_what_is_white(run: Run, tmp_path: Path) -> None:
    picture, mask = tmp_path / "picture.png", tmp_path / "mask.png"
    pixels = digits().train.batch(torch.tensor([3]))[0].numpy()[0, 0]
    Image.fromarray(pixels).save(picture)
    kept = np.zeros((8, 8), np.uint8)
    kept[:, :4] = 255
    Image.fromarray(kept).save(mask)
    for threshold, sampler in (("static", "dpm++2m"), ("dynamic", "euler"), ("none", "ancestral")):
        known = [inpaint_guide(run, picture, mask)]
        state, _ = last(run, known=known, threshold=threshold, sampler=sampler, guidance=3.0)
        assert np.array_equal(state[:, 0, :, :4], np.broadcast_to(pixels[:, :4], (8, 8, 4)))
        assert len(np.unique(state[:, 0, :, 4:].reshape(8, -1), axis=0)) == 8


def test_a_file_that_is_no_picture_is_refused(run: Run, tmp_path: Path) -> None:
    (tmp_path / "no.png").write_text("no picture")
    with pytest.raises(DataError, match="no picture that can be read"):
        inpaint_guide(run, tmp_path / "no.png", tmp_path / "no.png")
    with pytest.raises(DataError, match="there is no picture"):
        inpaint_guide(run, tmp_path / "missing.png", tmp_path / "no.png")


def test_a_measurement_is_met_by_a_trained_run(run: Run) -> None:
    """Its halves' means are asked for, and come out so but for what is cut to bytes at the end."""
    wanted = torch.tensor([[-0.6, 0.1]])

    def means(x: torch.Tensor) -> torch.Tensor:
        return torch.stack([x[:, 0, :, :4].mean((1, 2)), x[:, 0, :, 4:].mean((1, 2))], 1)

    known = [lambda denoiser: Measured(denoiser, means, wanted, 0.01, 2)]
    state, evaluations = last(run, known=known, steps=18)
    assert evaluations == 18 * 3

    def distance(pixels: np.ndarray) -> float:
        return float((means(run.scaling.to_model(torch.from_numpy(pixels))) - wanted).norm(dim=1).mean())

    assert distance(state) < 0.2 * distance(last(run, steps=18)[0])


def test_thresholds_can_be_chosen_and_are_for_bounded_data(run: Run) -> None:
    wish = {"guidance": 6.0, "sampler": "ddim"}
    static, dynamic = (last(run, threshold=name, **wish)[0] for name in ("static", "dynamic"))
    assert not np.array_equal(static, dynamic)
    assert np.array_equal(static, last(run, **wish)[0])

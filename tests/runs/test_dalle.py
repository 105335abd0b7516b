"""DALL·E 2: words to an embedding, an embedding to a picture, and pictures that mean the same."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from helpers import call, captioned_folder
from sfumato.app.cascading import train_as_wished
from sfumato.app.training import TrainingWish
from sfumato.errors import ConfigError
from sfumato.randomness import generator
from sfumato.runs.cascade.cascade import Cascade
from sfumato.runs.run import Run

NETWORK = ("network.widths=[16]", "network.fold=2", "training.batch=8", "training.learning_rate=0.003")
SETTINGS = (
    *(
        "clip.family.widths=[16,16]",
        "clip.family.embedding=8",
        "clip.family.width=16",
        "clip.training.batch=16",
    ),
    *("prior.network.width=16", "prior.network.layers=1", "prior.training.batch=16"),
    *(f"{stage}.{setting}" for stage in ("decoder", "upsampler") for setting in NETWORK),
)
PROMPTS = ["a red circle", "two blue squares"]


@pytest.fixture(scope="module")
def cascade(tmp_path_factory: pytest.TempPathFactory) -> Cascade:
    source = captioned_folder(tmp_path_factory.mktemp("data"), size=32)
    folder = tmp_path_factory.mktemp("runs") / "dalle"
    wish = TrainingWish(str(source), folder, "dalle", SETTINGS, "40steps", None, {})
    train_as_wished(wish, resume=False)
    return Cascade.open(folder)


def test_the_encoder_helps_to_train_and_is_not_sampled(cascade: Cascade) -> None:
    assert [stage.folder.name for stage in cascade.stages] == ["prior", "decoder", "upsampler"]
    assert cascade.gives == ("embedding", "picture", None)
    assert [stage.done.steps for stage in cascade.stages] == [6, 20, 8]


def test_what_the_prior_makes_is_what_the_decoder_is_told(cascade: Cascade) -> None:
    whole = cascade.sample(2, prompts=PROMPTS, seed=3)
    assert whole.shape == (2, 3, 32, 32)
    codes = cascade.stages[0].sample(2, prompts=PROMPTS, seed=3)
    assert codes.shape == (2, 8)
    small = cascade.stages[1].sample(2, seed=3 + 2**40, conditions={"embedding": list(codes)})
    large = cascade.stages[2].sample(
        2, prompts=PROMPTS, seed=3 + 2 * 2**40, conditions={"picture": list(small)}
    )
    assert np.array_equal(whole, large)


def test_guidance_is_for_what_draws_or_for_whom_it_names(cascade: Cascade) -> None:
    def weights(guidance: float | dict[str, float] | None) -> list[float | dict[str, float]]:
        return [each.guidance for each in cascade.options(guidance=guidance).stages]

    own = weights(None)
    assert own == [1.5, 2.0, 1.0]
    assert weights(3.0) == [1.5, 3.0, 1.0]
    assert weights({"text": 2.0}) == [{"text": 2.0}, 2.0, 1.0]
    assert weights({"embedding": 3.0, "text": 2.0}) == [{"text": 2.0}, {"embedding": 3.0}, 1.0]
    with pytest.raises(ConfigError, match="guide by: 'volume'"):
        weights({"volume": 2.0})
    steps = cascade.options(steps=3)
    assert [each.steps for each in steps.stages] == [10, 3, 8]
    assert steps.guidance == 2.0


def stirred(folder: Path) -> Cascade:
    """Return the cascade with a prior that hears: six steps of training leave it nearly deaf."""
    made = Cascade.open(folder)
    rng = generator(0, "a test")
    for weight in made.stages[0].family.module.parameters():
        weight.data += torch.randn(weight.shape, generator=rng) / 4
    return made


def test_a_negative_prompt_leads_the_prior_away(cascade: Cascade, capsys: pytest.CaptureFixture[str]) -> None:
    folder, cascade = cascade.folder, stirred(cascade.folder)
    prior, prompts, away = cascade.stages[0], PROMPTS[:1], PROMPTS[1:]
    codes = prior.sample(2, prompts=prompts, negative=away, seed=3)
    assert not np.array_equal(codes, prior.sample(2, prompts=prompts, seed=3))
    small = cascade.stages[1].sample(2, seed=3 + 2**40, conditions={"embedding": list(codes)})
    large = cascade.stages[2].sample(
        2, prompts=PROMPTS[:1], seed=3 + 2 * 2**40, conditions={"picture": list(small)}
    )
    assert np.array_equal(cascade.sample(2, prompts=prompts, negative=away, seed=3), large)
    words = ("sample", folder, "--prompt", PROMPTS[0], "--negative", PROMPTS[1])
    assert call(*words, "--guidance", "text=1") == 2
    assert "add --guidance text=1.5" in " ".join(capsys.readouterr().err.split())


def test_after_the_prior_comes_what_draws(cascade: Cascade) -> None:
    drawing = cascade.after("embedding")
    codes = cascade.stages[0].sample(1, prompts=PROMPTS, seed=3)
    four = drawing.sample(4, conditions={"embedding": list(codes)})
    assert four.shape == (4, 3, 32, 32)
    assert not np.array_equal(four[0], four[1])
    with pytest.raises(ConfigError, match="no stage"):
        cascade.after("label")


def test_pictures_are_varied_and_blended(cascade: Cascade, tmp_path: Path) -> None:
    pair = tmp_path / "pair"
    assert call("sample", cascade.folder, "-n", "2", "--prompt", PROMPTS[0], "--out", pair) == 0
    pictures = sorted(pair.glob("*.png"))
    for given in ([pictures[0]], pictures, ["--prompt", PROMPTS[0], "--prompt", PROMPTS[1]]):
        assert call("vary", cascade.folder, *given, "-n", "3", "--out", tmp_path / "varied.png") == 0
        assert (tmp_path / "varied.png").is_file()
        (tmp_path / "varied.png").unlink()


@pytest.fixture(scope="module")
def autoregressive(tmp_path_factory: pytest.TempPathFactory) -> Cascade:
    source = captioned_folder(tmp_path_factory.mktemp("data"), size=32)
    folder = tmp_path_factory.mktemp("runs") / "numbers"
    kept = tuple(setting for setting in SETTINGS if not setting.startswith("prior."))
    settings = (*kept, "prior.family.width=16", "prior.family.layers=1", "prior.training.batch=16")
    train_as_wished(
        TrainingWish(str(source), folder, "dalle-autoregressive", settings, "40steps", None, {}), False
    )
    return Cascade.open(folder)


def test_a_prior_may_make_one_number_after_another(autoregressive: Cascade) -> None:
    prior, latent = autoregressive.stages[0], autoregressive.stages[0].config.latent
    assert latent is not None
    assert prior.config.shape == (latent.components,)
    assert prior.config.sample_shape == prior.shape == (8,)
    codes = prior.sample(2, prompts=PROMPTS, seed=3)
    assert codes.shape == (2, 8)
    small = autoregressive.stages[1].sample(2, seed=3 + 2**40, conditions={"embedding": list(codes)})
    large = autoregressive.stages[2].sample(
        2, prompts=PROMPTS, seed=3 + 2 * 2**40, conditions={"picture": list(small)}
    )
    assert np.array_equal(autoregressive.sample(2, prompts=PROMPTS, seed=3), large)
    assert autoregressive.options(guidance=3.0).guidance == 3.0


def test_wrong_use_says_so(cascade: Cascade, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("vary", cascade.folder) == 2
    assert "name a picture to vary" in capsys.readouterr().err
    assert call("vary", cascade.folder / "upsampler", "x.png") == 2
    assert "knows no embeddings" in capsys.readouterr().err
    assert call("vary", cascade.folder / "decoder", "--prompt", PROMPTS[0]) == 2
    assert "has no prior" in capsys.readouterr().err


def test_a_longer_training_leaves_alone_what_others_speak_the_codes_of(
    cascade: Cascade, tmp_path: Path
) -> None:
    folder = tmp_path / "longer"
    shutil.copytree(cascade.folder, folder)
    train_as_wished(TrainingWish(None, folder, None, (), "60steps", None, {}), resume=True)
    assert Run.open(folder / "clip").done.steps == 6
    assert [stage.done.steps for stage in Cascade.open(folder).stages] == [9, 30, 12]

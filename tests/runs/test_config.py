"""The configuration: closed, complete, and refused with a reason."""

import json
from pathlib import Path

import pytest

import sfumato
from helpers import digits, tiny_training
from sfumato.diffusion.decoder import ContinuousGaussian
from sfumato.diffusion.prediction import Noise
from sfumato.diffusion.schedules import LinearVP
from sfumato.diffusion.times import Steps
from sfumato.diffusion.weighting import InNoise
from sfumato.errors import ConfigError, RunError
from sfumato.recipes import RECIPES, configure
from sfumato.runs.build import build_diffusion, build_sampling
from sfumato.runs.config import parse_config, read_config
from sfumato.runs.model import build_model
from sfumato.runs.registry import PIECES, build, complete

PICTURES_ONLY = {
    "masked-autoencoder",
    "multiscale-vq",
    "sharpened-multiscale-vq",
    "next-pixel",
    "pixel-cnn",
    "vq-vae",
}
VECTORS_ONLY = {"next-number"}
CAPTIONS_ONLY = {"clip"}
MORE_NEEDED = {
    "prior": "by --latent RUN",
    "token-transformer": "by --latent RUN.*--recipe next-token",
    "scale-transformer": "by --latent RUN.*or var",
    "upsampler": "multiples of 16",
    "colouriser": "colour pictures",
}
"""Recipes for which neither data set has what it takes, and what they say."""


@pytest.mark.parametrize(("recipe", "needed"), MORE_NEEDED.items())
def test_a_recipe_that_needs_more_says_what(recipe: str, needed: str) -> None:
    for source in ("digits", "moons"):
        with pytest.raises(ConfigError, match=needed):
            configure(sfumato.load_data(source), recipe)


@pytest.mark.parametrize("recipe", sorted(RECIPES.keys() - MORE_NEEDED.keys()))
def test_every_recipe_builds_on_pictures_and_points(recipe: str) -> None:
    for source in ("digits", "moons"):
        if source == "digits" and recipe in VECTORS_ONLY:
            with pytest.raises(ConfigError, match="for vectors"):
                configure(sfumato.load_data(source), recipe)
            continue
        config = configure(sfumato.load_data(source), recipe)
        assert parse_config(json.loads(config.to_json())) == config
        if recipe in CAPTIONS_ONLY or (source == "moons" and recipe in PICTURES_ONLY):
            with pytest.raises(ConfigError, match=r"pictures|patches|captions"):
                build_model(config)
        else:
            assert build_model(config).family.players()


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind in PIECES for name in PIECES[kind]])
def test_every_piece_has_a_complete_spec_or_names_what_it_needs(kind: str, name: str) -> None:
    needed = {"betas": {"betas": [0.1, 0.2]}, "exploding-steps": {"sigmas": [0.1, 0.2]}}
    needed["fitted"] = {"at": [1.0, 0.4, 0.0]}
    needed["label"] = {"classes": ["cat", "dog"]}
    needed["attributes"] = {"names": ["tall", "red"]}
    needed["embedding"] = {"width": 8}
    needed["pretrained-text"] = {"length": 8, "width": 4, "folder": "elsewhere"}
    needed["grey"] = {"shape": [1, 8, 8]}
    needed["picture"] = {"shape": [1, 8, 8]}
    needed["text"] = {"vocabulary": 40}
    needed["standardise"] = {"mean": [0.0], "std": [1.0]}
    spec = complete(kind, {"name": name, **needed.get(name, {})})
    # Tuples come back from JSON as lists, and are completed to tuples again.
    assert complete(kind, json.loads(json.dumps(spec))) == spec
    given = {
        "sigma_data": 0.5,
        "schedule": LinearVP(),
        "prediction": Noise(),
        "weighting": InNoise(),
        "times": Steps(10),
        "decoder": ContinuousGaussian(),
    }
    assert (build(kind, spec, given) is None) == ((kind, name) == ("threshold", "none"))
    if name in needed:
        with pytest.raises(ConfigError, match="needs"):
            complete(kind, name)


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("training.bach=64", "training.bach.*Did you mean 'training.batch'"),
        ("training.batch=many", "training.batch.*integer"),
        ("training.batch=0", "training.batch.*greater"),
        ("schedule=cosin", "Unknown schedule.*Did you mean 'cosine'"),
        ("schedule.speed=2", "Unknown option.*schedule 'exploding-linear'.*sigma_max"),
        ("schedule.sigma_max=high", "sigma_max.*number"),
        ("prediction=x", "Unknown prediction.*edm"),
        ("sampling.steps=0", "sampling.steps.*greater"),
        ("sampling.guidance=-1", "sampling.guidance = -1 .*greater"),
        ("sampling.guidance=inf", "sampling.guidance = 'inf' .*finite"),
        ('sampling.guidance={"label": -1}', "sampling.guidance.label = -1 .*greater"),
        ("distilled.guidance=2", "sfumato distill.*--guidance"),
        ("prediction.offset=1", "Unknown option|no options"),
        ("nothing", "KEY=VALUE"),
        ("network.widths=[3]", "multiples of 8"),
    ],
)
def test_a_bad_setting_is_named(setting: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        build_diffusion(configure(digits(), settings=(setting,)))


FALLS_NOT = 'sampling.grid={"name": "fitted", "at": [1, 0.5, 0.6, 0]}'


@pytest.mark.parametrize(
    ("source", "recipe", "settings", "words"),
    [
        ("digits", "ddpm", ("variance=learned",), "teaches no variance"),
        ("digits", "hybrid", ("variance=small",), "set variance=learned"),
        ("digits", "hybrid", ("schedule=exploding",), "starts at the data"),
        ("digits", "hybrid", ("times=uniform",), "times=steps"),
        ("digits", "ddpm", ("sampling.sampler=ancestral-learned",), "has not learned a variance"),
        ("digits", "ddpm", ("sampling.sampler=langevin",), "annealed Langevin.*exploding"),
        ("digits", "ddpm", ("schedule=flow",), "Noise prediction cannot be used with RectifiedFlow"),
        ("digits", "ncsn", ("schedule=flow",), "Score prediction cannot be used with RectifiedFlow"),
        ("digits", "flow", (FALLS_NOT, "sampling.steps=3"), "fall"),
        ("moons", "points", ("sampling.threshold=static",), "bounded data"),
        ("moons", "points", ("sampling.threshold=dynamic",), "bounded data"),
    ],
)
def test_what_cannot_work_is_refused_where_it_is_built(
    source: str, recipe: str, settings: tuple[str, ...], words: str
) -> None:
    def build_all() -> None:
        config = configure(sfumato.load_data(source), recipe, settings=settings)
        build_sampling(config, build_diffusion(config))

    with pytest.raises(ConfigError, match=words) as caught:
        build_all()
    assert "\n" not in str(caught.value)


def test_a_piece_named_alone_takes_its_own_defaults() -> None:
    config = configure(digits(), settings=("schedule=cosine", "prediction=v"))
    assert config.schedule == {"name": "cosine", "offset": 0.008}


def test_noise_prediction_where_nothing_is_left_of_the_signal_is_refused() -> None:
    for schedule in ("cosine", "flow"):
        with pytest.raises(ConfigError, match=r"Noise prediction cannot be used.*alpha = 0.*'v'"):
            build_diffusion(configure(digits(), settings=(f"schedule={schedule}", "prediction=noise")))


def test_a_network_for_other_data_is_refused() -> None:
    with pytest.raises(ConfigError, match="for vectors"):
        build_diffusion(configure(digits(), settings=("network=mlp",)))
    with pytest.raises(ConfigError, match="or more"):
        build_diffusion(configure(digits(), settings=("network.fold=4",)))


def test_the_measured_deviation_reaches_every_piece_that_asks() -> None:
    config = configure(digits())
    family = build_diffusion(config)
    assert family.denoiser.prediction.sigma_data == config.data.std  # type: ignore[attr-defined]
    assert family.objective.weighting.sigma_data == config.data.std  # type: ignore[attr-defined]
    assert family.denoiser.view.sigma_data == config.data.std


def test_initial_weights_depend_on_the_seed_alone() -> None:
    import torch

    first = build_diffusion(configure(digits(), seed=4)).module.stem.weight  # type: ignore[union-attr]
    torch.rand(3)
    again = build_diffusion(configure(digits(), seed=4)).module.stem.weight  # type: ignore[union-attr]
    other = build_diffusion(configure(digits(), seed=5)).module.stem.weight  # type: ignore[union-attr]
    assert torch.equal(first, again)  # type: ignore[arg-type]
    assert not torch.equal(first, other)  # type: ignore[arg-type]


def test_a_folder_that_is_no_run_says_so(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="not a run folder"):
        read_config(tmp_path / "config.json")


def test_a_written_run_reads_back_as_it_was(tmp_path: Path) -> None:
    training = tiny_training(tmp_path / "run", 1)
    training.begin()
    assert read_config(tmp_path / "run" / "config.json") == training.config

"""Every family is trained, resumed, opened, sampled and asked for codes by the same commands."""

import ast
from collections import deque
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import sfumato
from sfumato.data import Dataset, load_data
from sfumato.data.dataset import Split
from sfumato.errors import ConfigError
from sfumato.families.agreements import Autoencoder, Encoder, Generator
from sfumato.recipes import configure
from sfumato.runs.config import LatentConfig
from sfumato.runs.fitting import Training, begin_training
from sfumato.runs.latent import latent_config
from sfumato.runs.registry import PIECES
from sfumato.runs.run import Run
from sfumato.train.budget import Budget
from sfumato.train.events import Notice, Stepped
from sfumato.train.signals import StopRequest

SMALL = {"width": 16, "latent": 4, "codes": 16, "layers": 1}
"""Options that make a family quick, where it has them."""
DATA = load_data("digits")
LIVES_IN = {
    "next-number": "linear-autoencoder",
    "token-transformer": "vq-vae",
    "scale-transformer": "multiscale-vq",
}
"""Families that are for codes or tokens, and whose these are here."""
CAPTIONED = ("clip",)
"""Families that learn from captions, of which the digits have none."""
every_family = pytest.mark.parametrize("name", [*PIECES["family"], "images"])


def said(split: Split) -> Split:
    """Return the digits with a sentence each."""
    assert split.labels is not None
    return replace(split, captions=tuple(f"the digit {DATA.classes[k]}" for k in split.labels.tolist()))


SAID = replace(DATA, train=said(DATA.train), held_out=said(DATA.held_out))


def data_for(name: str) -> Dataset:
    return SAID if name in CAPTIONED else DATA


def home_of(name: str, folder: Path) -> Run | None:
    """Return what writes the codes or tokens that a family is for, trained beside its folder."""
    if name not in LIVES_IN:
        return None
    home = folder.with_name(f"{folder.name}-home")
    trained(LIVES_IN[name], home, 2)
    return Run.open(home)


def settings(name: str, latent: LatentConfig | None) -> tuple[str, ...]:
    options = configure(data_for(name), name, latent=latent).family
    small = [f"family.{key}={value}" for key, value in SMALL.items() if key in options]
    if name == "images":
        small = ["network.widths=[16]", "network.fold=1"]
    return (*small, "training.batch=16", "training.warmup=2")


def trained(name: str, folder: Path, steps: int, stop_at: int | None = None, **how: Any) -> Training:
    data, home = data_for(name), how.get("autoencoder") or home_of(name, folder)
    latent = latent_config(home, data) if home else None
    config = configure(data, name, settings=settings(name, latent), latent=latent)
    training = begin_training(config, data, folder, Budget.parse(f"{steps}steps"), home)
    stop = StopRequest()
    for event in training.events(stop):
        if isinstance(event, Stepped) and event.done.steps == stop_at:
            stop.name = "a test"
    return training


@every_family
def test_a_resumed_training_is_the_uninterrupted_one_bit_by_bit(name: str, tmp_path: Path) -> None:
    whole = trained(name, tmp_path / "whole", 4)
    half = trained(name, tmp_path / "half", 4, stop_at=2)
    again = Training(half.config, half.dataset, tmp_path / "half", Budget.parse("4steps"))
    again.resume()
    deque(again.events(StopRequest()), maxlen=0)
    expected, found = whole.fit.tensors(), again.fit.tensors()
    assert expected.keys() == found.keys()
    for key, value in expected.items():
        assert torch.equal(value, found[key]), key
    averages = again.averages.tensors()
    for key, value in whole.averages.tensors().items():
        assert torch.equal(value, averages[key]), key


@pytest.mark.slow
@every_family
def test_compiled_losses_and_gradients_are_the_plain_ones(name: str, tmp_path: Path) -> None:
    """By the fit loop's own check of the first batch: within 5 %, in the precision of the machine.

    Slow, as each network is compiled from nothing; what a compiler gets wrong it gets wrong quietly.
    """
    fit = trained(name, tmp_path / "run", 1).fit
    fit.settings = replace(fit.settings, compile=True)
    events = list(fit.run(Budget.parse("2steps"), StopRequest()))
    assert not [event.text for event in events if isinstance(event, Notice)]
    assert isinstance(events[0], Stepped)


@every_family
def test_an_opened_run_does_what_its_family_can_and_says_what_it_cannot(name: str, tmp_path: Path) -> None:
    trained(name, tmp_path / "run", 2)
    run = sfumato.open_run(tmp_path / "run")
    examples = DATA.held_out.store.take(torch.arange(5))
    if isinstance(run.family, Generator):
        samples = run.sample(5, seed=3)
        assert samples.shape == (5, 1, 8, 8)
        assert samples.dtype == np.uint8
        # Image 7 of seed 0 is image 0 of seed 7; a batch of another size may round another way.
        alone = run.sample(1, labels=[run.classes[4]] if run.classes else None, seed=7)
        assert np.abs(alone[0].astype(int) - samples[4].astype(int)).max() <= 8
    else:
        with pytest.raises(ConfigError, match=r"sfumato (train|encode)"):
            run.sample(5)
    if not isinstance(run.family, Encoder):
        with pytest.raises(ConfigError, match="has no codes"):
            run.encode(examples)
        return
    codes = run.encode(examples)
    assert np.allclose(codes[2:3], run.encode(examples[2:3]), atol=0.05 * np.abs(codes).max())
    with pytest.raises(ConfigError, match=r"not \(1, 9, 8\)"):
        run.encode(torch.zeros(1, 1, 9, 8, dtype=torch.uint8))
    if isinstance(run.family, Autoencoder):
        assert run.decode(codes).shape == (5, 1, 8, 8)
        with pytest.raises(ConfigError, match="codes of this model have the shape"):
            run.decode(np.zeros((2, 77)))
    else:
        with pytest.raises(ConfigError, match="decodes nothing"):
            run.decode(codes)


@every_family
def test_options_that_only_a_diffusion_model_has_are_refused_by_others(name: str, tmp_path: Path) -> None:
    trained(name, tmp_path / "run", 1)
    run = Run.open(tmp_path / "run")
    if name != "images" and isinstance(run.family, Generator):
        with pytest.raises(ConfigError, match="leave out steps"):
            run.request(1, steps=3)
    if name != "images":
        with pytest.raises(ConfigError, match="needs a diffusion model's run"):
            _ = run.diffusion


def test_any_recipe_trains_in_the_codes_of_any_autoencoder(tmp_path: Path) -> None:
    for name in ("linear-autoencoder", "vae"):
        trained(name, tmp_path / name, 3)
        autoencoder = Run.open(tmp_path / name)
        latent = latent_config(autoencoder, DATA)
        config = configure(DATA, None, settings=("training.batch=16", "network.width=16"), latent=latent)
        assert config.shape == tuple(autoencoder.family.latent_shape)
        training = begin_training(config, DATA, tmp_path / f"in-{name}", Budget.parse("2steps"), autoencoder)
        seen = training.fit._load(torch.arange(len(DATA.train))).examples
        # What is trained on is standardised, coordinate by coordinate.
        assert torch.allclose(seen.mean(0), torch.zeros(seen.shape[1]), atol=0.05)
        deque(training.events(StopRequest()), maxlen=0)
        run = Run.open(tmp_path / f"in-{name}")
        samples = run.sample(3)
        assert samples.shape == (3, 1, 8, 8)
        assert samples.dtype == np.uint8
        # The folder alone is enough: the autoencoder's own may go.
        (tmp_path / name / "checkpoint.safetensors").unlink()
        assert np.array_equal(Run.open(tmp_path / f"in-{name}").sample(3), samples)


def test_codes_there_and_back_are_what_the_autoencoder_rebuilds(tmp_path: Path) -> None:
    trained("linear-autoencoder", tmp_path / "auto", 3)
    autoencoder = Run.open(tmp_path / "auto")
    trained("points", tmp_path / "run", 1, autoencoder=autoencoder)
    run, examples = Run.open(tmp_path / "run"), DATA.held_out.store.take(torch.arange(9))
    there_and_back = run.scaling.to_data(run.scaling.to_model(examples)).numpy()
    rebuilt = autoencoder.decode(autoencoder.encode(examples))
    # Standardising and back rounds in float32: a level of 256 at most.
    assert np.abs(there_and_back.astype(int) - rebuilt.astype(int)).max() <= 1


def test_what_has_no_codes_is_no_place_to_train_in(tmp_path: Path) -> None:
    trained("images", tmp_path / "run", 1)
    with pytest.raises(ConfigError, match="has no codes to train in or to be told"):
        latent_config(Run.open(tmp_path / "run"), DATA)
    trained("linear-autoencoder", tmp_path / "auto", 1)
    with pytest.raises(ConfigError, match="encodes examples of"):
        latent_config(Run.open(tmp_path / "auto"), load_data("moons"))


@pytest.mark.parametrize("name", CAPTIONED)
def test_what_learns_from_captions_says_that_there_are_none(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="has none: use data that has"):
        begin_training(configure(DATA, name), DATA, tmp_path / "run", Budget.parse("1steps"), None)
    assert not (tmp_path / "run").exists()


def test_a_run_reads_sentences_as_its_training_did(tmp_path: Path) -> None:
    training = trained("clip", tmp_path / "run", 3)
    run = Run.open(tmp_path / "run")
    sentences = [f"the digit {name}" for name in DATA.classes]
    codes = run.encode_text(sentences)
    assert codes.shape == (10, run.encode(DATA.held_out.store.take(torch.arange(2))).shape[1])
    # What training saw of an example's caption is what the run reads in the same words.
    seen = training.fit._load(torch.arange(40)).condition
    assert seen is not None
    labels = DATA.train.labels
    assert labels is not None
    with run.model.running():
        expected = run.family.encode_text(seen.values["text"]).float().numpy()
    np.testing.assert_allclose(codes[labels[:40]], expected, atol=0.05)
    # Lengths of 1, but for what is rounded where codes are computed in eight bits.
    np.testing.assert_allclose(np.linalg.norm(codes, axis=1), 1, atol=1e-2)
    with pytest.raises(ConfigError, match="knows no word of 'tyger tyger'"):
        run.encode_text(["tyger tyger"])
    with pytest.raises(ConfigError, match="no sentence to encode"):
        run.encode_text([])
    trained("vae", tmp_path / "vae", 1)
    with pytest.raises(ConfigError, match="has no codes of sentences"):
        Run.open(tmp_path / "vae").encode_text(sentences)


def test_the_fit_loop_names_no_family() -> None:
    """Adding a family touches no file of `train`: none of its code speaks of one."""
    names = {family.replace("-", "") for family in PIECES["family"]} | {"diffusion", "denoiser", "critic"}
    names -= {"clip"}  # what is done to gradients, too
    for path in sorted((Path(sfumato.__file__).parent / "train").glob("*.py")):
        code = ast.parse(path.read_text())
        told = {node.id.lower() for node in ast.walk(code) if isinstance(node, ast.Name)}
        told |= {node.attr.lower() for node in ast.walk(code) if isinstance(node, ast.Attribute)}
        assert not told & names, path.name

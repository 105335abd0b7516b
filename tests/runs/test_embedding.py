"""The parts of DALL·E 2: an encoder kept inside a run, a model told its codes, a prior that makes them."""

from collections import deque
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from helpers import call
from sfumato.condition import Condition
from sfumato.data import load_data
from sfumato.data.dataset import Split
from sfumato.errors import ConfigError, RunError
from sfumato.families.agreements import Batch
from sfumato.recipes import configure
from sfumato.runs.conditions.embedding import ENCODER, directions, embedding_spec
from sfumato.runs.fitting import Training, begin_training
from sfumato.runs.kept import open_kept
from sfumato.runs.latent import AUTOENCODER, latent_config
from sfumato.runs.run import CONFIG, Run
from sfumato.train.budget import Budget
from sfumato.train.signals import StopRequest

DIGITS = load_data("digits")
CPU = torch.device("cpu")
TINY = {
    "clip": ("family.embedding=12", "family.widths=[16,16,16]", "family.width=16", "precision=fp32"),
    "images": ("network.widths=[16]", "network.fold=1"),
    "prior": ("network.width=32", "precision=fp32"),
    "vae": ("family.latent=4",),
}


def said(split: Split) -> Split:
    """Return the first 200 digits of a split with a sentence each."""
    few = split.select(torch.arange(min(200, len(split))))
    assert few.labels is not None
    names = [DIGITS.classes[label] for label in few.labels.tolist()]
    return replace(few, captions=tuple(f"the digit {name}" for name in names))


DATA = replace(DIGITS, train=said(DIGITS.train), held_out=said(DIGITS.held_out))


def begun(recipe: str, folder: Path, steps: int, *settings: str, **by: Run) -> Training:
    """Begin a training; by: `latent` or `encoder`, another run."""
    latent = latent_config(by["latent"], DATA) if "latent" in by else None
    told = embedding_spec(by["encoder"], DATA) if "encoder" in by else None
    tiny = (*TINY[recipe], "training.batch=16", "training.warmup=2", *settings)
    config = configure(DATA, recipe, settings=tiny, latent=latent, embedding=told)
    budget = Budget.parse(f"{steps}steps")
    return begin_training(config, DATA, folder, budget, by.get("latent"), by.get("encoder"))


def trained(recipe: str, folder: Path, steps: int, *settings: str, **by: Run) -> Run:
    deque(begun(recipe, folder, steps, *settings, **by).events(StopRequest()), maxlen=0)
    return Run.open(folder, CPU)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return trained("clip", tmp_path_factory.mktemp("runs") / "clip", 3)


@pytest.fixture(scope="module")
def decoder(clip: Run, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return trained("images", tmp_path_factory.mktemp("runs") / "decoder", 3, encoder=clip)


@pytest.fixture(scope="module")
def prior(clip: Run, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return trained("prior", tmp_path_factory.mktemp("runs") / "prior", 20, latent=clip)


def pictures(n: int) -> torch.Tensor:
    return DATA.held_out.store.take(torch.arange(n))


def test_a_kept_run_encodes_and_reads_as_the_run_itself(clip: Run, tmp_path: Path) -> None:
    from sfumato.runs.kept import keep

    keep(clip, tmp_path / "kept.safetensors")
    kept = open_kept(tmp_path / "kept.safetensors", CPU)
    assert np.array_equal(kept.encode(pictures(9)).numpy(), clip.encode(pictures(9)))
    assert kept.tokenizer is not None
    sentences = ["the digit 3", "a digit"]
    assert torch.equal(kept.tokenizer.encode(sentences), clip.sentences.tokenizer.encode(sentences))
    with pytest.raises(RunError, match="missing, without which codes mean nothing"):
        open_kept(tmp_path / "none.safetensors", CPU)


def test_training_tells_each_example_its_own_code_of_one_length(clip: Run, tmp_path: Path) -> None:
    training = begun("images", tmp_path / "run", 1, encoder=clip)
    places = torch.tensor([5, 0, 150])
    batch = training.fit._load(places)
    assert batch.condition is not None
    told = batch.condition.values["embedding"]
    expected = directions(torch.from_numpy(clip.encode(DATA.train.store.take(places))))
    # Encoded in other batches than here, float32 sums round another way.
    torch.testing.assert_close(told, expected, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(told.square().mean(1), torch.ones(3))
    assert batch.condition.names == ("embedding",)


def test_a_model_in_codes_is_told_those_of_the_pictures_themselves(clip: Run, tmp_path: Path) -> None:
    vae = trained("vae", tmp_path / "vae", 2)
    inner = ("network.width=16", "training.batch=16")
    latent, told = latent_config(vae, DATA), embedding_spec(clip, DATA)
    config = configure(DATA, "points", settings=inner, latent=latent, embedding=told)
    training = begin_training(config, DATA, tmp_path / "run", Budget.parse("2steps"), vae, clip)
    places = torch.arange(4)
    batch = training.fit._load(places)
    assert batch.examples.shape == (4, 4)
    assert batch.condition is not None
    expected = directions(torch.from_numpy(clip.encode(DATA.train.store.take(places))))
    torch.testing.assert_close(batch.condition.values["embedding"], expected, atol=1e-4, rtol=1e-4)
    deque(training.events(StopRequest()), maxlen=0)
    asked = {"embedding": clip.encode(pictures(2))}
    assert Run.open(tmp_path / "run", CPU).sample(2, conditions=asked).shape == (2, 1, 8, 8)


def test_a_dropped_embedding_is_no_embedding_bit_by_bit(clip: Run, decoder: Run) -> None:
    module = decoder.diffusion.family.module
    x, level = torch.zeros(3, 1, 8, 8), torch.zeros(3)
    told = Condition.of(embedding=directions(torch.from_numpy(clip.encode(pictures(3)))))
    with torch.inference_mode():
        assert torch.equal(module(x, level, told.drop_all()), module(x, level, None))
    unasked = decoder.sample(3, seed=4, guidance=1.0)
    hidden = decoder.sample(3, seed=4, guidance=0.0, conditions={"embedding": clip.encode(pictures(3))})
    assert np.array_equal(unasked, hidden)


def test_only_the_direction_of_what_is_asked_counts_and_samples_take_turns(clip: Run, decoder: Run) -> None:
    codes = clip.encode(pictures(2))
    once = decoder.request(5, conditions={"embedding": codes}).condition
    again = decoder.request(5, conditions={"embedding": list(7 * codes)}).condition
    assert once is not None
    assert again is not None
    found = once.values["embedding"]
    # Lengths are taken out in float32: one rounding each.
    torch.testing.assert_close(found, again.values["embedding"], atol=1e-5, rtol=1e-5)
    assert torch.equal(found[[2, 3, 4]], found[[0, 1, 0]])


def test_the_folder_is_all_it_takes(clip: Run, decoder: Run, prior: Run) -> None:
    """Both kept what they need: of the encoder's own folder nothing is read."""
    for run, name in ((decoder, ENCODER), (prior, AUTOENCODER)):
        state = (run.folder / name).read_bytes()
        (run.folder / name).unlink()
        with pytest.raises(RunError, match=f"{name} is missing"):
            Run.open(run.folder, CPU)
        (run.folder / name).write_bytes(state)
    kept = open_kept(decoder.folder / ENCODER, CPU)
    assert np.array_equal(kept.encode(pictures(5)).numpy(), clip.encode(pictures(5)))


@pytest.mark.parametrize(("recipe", "by"), [("images", "encoder"), ("prior", "latent")])
def test_a_resumed_training_is_the_uninterrupted_one(recipe: str, by: str, clip: Run, tmp_path: Path) -> None:
    whole = begun(recipe, tmp_path / "whole", 4, **{by: clip})
    deque(whole.events(StopRequest()), maxlen=0)
    half = begun(recipe, tmp_path / "half", 4, **{by: clip})
    stop = StopRequest()
    for _ in half.events(stop):
        stop.name = "a test" if half.fit.done.steps == 2 else stop.name
    again = Training(half.config, DATA, tmp_path / "half", Budget.parse("4steps"))
    again.resume()
    assert again.fit.done.steps == 2
    deque(again.events(StopRequest()), maxlen=0)
    for key, value in whole.fit.tensors().items():
        assert torch.equal(value, again.fit.tensors()[key]), key


def test_a_prior_makes_embeddings_of_prompts(clip: Run, prior: Run) -> None:
    codes = prior.sample(4, prompts=["the digit 3"], seed=5)
    assert (codes.shape, codes.dtype) == ((4, 12), np.float32)
    assert prior.config.sample_shape == (12,)
    # From the same noise: to a prior that did not listen, all captions would be one to the last bit.
    assert not np.array_equal(codes, prior.sample(4, prompts=["the digit 7"], seed=5))
    assert np.array_equal(codes, prior.sample(4, prompts=["the digit 3"], seed=5))
    # One of any batch is that of its seed alone, up to the rounding of matrices of other sizes.
    np.testing.assert_allclose(prior.sample(1, prompts=["the digit 3"], seed=7)[0], codes[2], atol=1e-4)


@pytest.mark.parametrize("ending", [".png", ".gif"])
def test_embeddings_are_not_drawn_and_that_is_said_before_they_are_made(
    prior: Run,
    tmp_path: Path,
    ending: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Run, "walk", lambda *given: pytest.fail("it was sampled"))
    file = tmp_path / f"x{ending}"
    assert call("sample", prior.folder, "-n", "2", "--out", file) == 2
    assert "cannot be drawn: choose an .npz file" in " ".join(capsys.readouterr().err.split())
    assert not file.exists()


def test_a_prior_sees_standardised_codes_and_gives_them_back(clip: Run, prior: Run) -> None:
    examples = DATA.train.store.take(torch.arange(len(DATA.train)))
    seen = prior.scaling.to_model(examples)
    torch.testing.assert_close(seen.mean(0), torch.zeros(12), atol=1e-4, rtol=0)
    torch.testing.assert_close(seen.std(0), torch.ones(12), atol=1e-3, rtol=0)
    np.testing.assert_allclose(prior.scaling.to_data(seen), clip.encode(examples), atol=1e-5)


def test_a_prior_s_codes_are_what_the_decoder_is_told(clip: Run, prior: Run, decoder: Run) -> None:
    codes = prior.sample(3, prompts=["the digit 3"])
    assert decoder.sample(3, conditions={"embedding": codes}).shape == (3, 1, 8, 8)


def test_the_prior_s_loss_is_the_error_of_the_embedding(prior: Run) -> None:
    family = prior.diffusion.family
    z = torch.randn(6, 12, generator=torch.Generator().manual_seed(0))
    draws = family.draw(6, (12,), torch.Generator().manual_seed(1))
    said = Condition.of(text=torch.zeros(6, prior.config.conditions["text"]["length"], dtype=torch.int64))
    shown = family.conditioning(said, draws)
    level = family.denoiser.schedule.level(draws["t"])
    alpha, sigma = (part.float()[:, None] for part in (level.alpha, level.sigma))
    with torch.no_grad():
        estimate = family.denoiser.estimate(alpha * z + sigma * draws["eps"], draws["t"], shown).x0
        loss = family.loss(Batch(z, said), draws)
    # The same network twice in float32, and a mean of its squares.
    torch.testing.assert_close(loss.float(), (estimate - z).square().mean(1), atol=1e-4, rtol=1e-4)


def refused(action: Any, match: str, error: type[Exception] = ConfigError) -> None:
    with pytest.raises(error, match=match):
        action()


@pytest.mark.parametrize("key", ["width", "layers"])
def test_how_clip_reads_is_an_option_of_the_family(tmp_path: Path, key: str) -> None:
    with pytest.raises(ConfigError, match=f"conditions.text.{key} has no effect.* set family.{key}"):
        begun("clip", tmp_path / "run", 1, f"conditions.text.{key}=16")
    assert not (tmp_path / "run" / CONFIG).exists()


def test_what_cannot_be_is_refused(clip: Run, decoder: Run, prior: Run, tmp_path: Path) -> None:
    refused(lambda: embedding_spec(decoder, DATA), "has no codes to train in or to be told")
    refused(lambda: embedding_spec(clip, load_data("moons")), "encodes examples of")
    refused(lambda: embedding_spec(prior, DATA), "has no codes to train in or to be told")
    told = embedding_spec(clip, DATA)
    refused(lambda: configure(DATA, "vae", embedding=told), "is told no embeddings")
    refused(lambda: configure(DATA, "prior"), "name the run that they are of")
    latent = latent_config(clip, DATA)
    refused(lambda: configure(DIGITS, "prior", latent=latent), "this data has no captions")
    both = {"latent": latent, "embedding": told}
    refused(lambda: configure(DATA, "prior", **both), "is told no embeddings")
    refused(lambda: decoder.request(1, conditions={"embedding": [np.zeros(5)]}), "embeddings of 12 finite")
    refused(lambda: decoder.request(1, conditions={"embedding": [np.full(12, np.nan)]}), "12 finite numbers")
    refused(lambda: prior.request(1, conditions={"embedding": [np.zeros(12)]}), "told no embeddings")
    refused(lambda: decoder.request(1, prompts=["the digit 3"]), "trained without captions")
    vae = trained("vae", tmp_path / "vae", 1)
    inside = configure(DATA, "vae", settings=("family.latent=2",), latent=latent_config(vae, DATA))
    deque(
        begin_training(inside, DATA, tmp_path / "in", Budget.parse("1steps"), vae).events(StopRequest()),
        maxlen=0,
    )
    refused(lambda: latent_config(Run.open(tmp_path / "in", CPU), DATA), "lives in the codes of")

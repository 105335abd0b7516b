"""Models of tokens as runs: their tokenizer beside them, interrupted, completed, and what they refuse."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from helpers import call, digits, exhaust
from sfumato.app.cascading import train_as_wished
from sfumato.app.training import TrainingWish
from sfumato.errors import ConfigError, RunError
from sfumato.families.agreements import UNKNOWN
from sfumato.recipes import configure
from sfumato.recipes.cascade_plan import share_of
from sfumato.recipes.cascades import CASCADES
from sfumato.runs.cascade.cascade import Cascade
from sfumato.runs.cascade.config import read_cascade
from sfumato.runs.fitting import Training
from sfumato.runs.guides import inpaint_guide
from sfumato.runs.latent import AUTOENCODER, Tokens
from sfumato.runs.model import tokens
from sfumato.runs.opening import open_folder
from sfumato.runs.run import CHECKPOINT, Run
from sfumato.runs.sampling import sample_whole
from sfumato.train.budget import Budget
from sfumato.train.checkpoint import load
from sfumato.train.events import Event, Stepped
from sfumato.train.signals import StopRequest

SETTINGS = (
    *("tokenizer.family.width=16", "tokenizer.family.codes=16", "tokenizer.training.batch=32"),
    *("transformer.family.width=16", "transformer.family.layers=1", "transformer.training.batch=32"),
)
STAGES = ("tokenizer", "transformer")
TOKENS = {"next-token": 16, "var": 1 + 4 + 9 + 16}
PASSES = {"next-token": 16, "var": 4, "next-pixel": 64}
every_cascade = pytest.mark.parametrize("recipe", TOKENS)
every_order = pytest.mark.parametrize("recipe", PASSES)


def wish(recipe: str | None, out: Path, **how: object) -> TrainingWish:
    said = {"settings": SETTINGS, "budget": "20steps", "seed": None, "reading": {}} | how
    return TrainingWish("digits" if recipe else None, out, recipe, **said)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A folder for each order, as the command line makes it, and one of diffusion."""
    place = tmp_path_factory.mktemp("orders")
    small = [word for setting in SETTINGS for word in ("--set", setting)]
    for recipe in TOKENS:
        words = ["train", "digits", "--recipe", recipe, "--budget", "20steps", "--out", place / recipe]
        assert call(*words, *small) == 0
    for recipe, setting in (("next-pixel", "family.width=16"), ("images", "network.widths=[16]")):
        words = ["train", "digits", "--recipe", recipe, "--budget", "5steps", "--out", place / recipe]
        assert call(*words, "--set", setting) == 0
    return {folder.name: folder for folder in place.iterdir()}


def some() -> torch.Tensor:
    """Digits that training has not seen."""
    return digits().held_out.store.take(torch.arange(20))


@every_cascade
def test_a_folder_holds_both_stages_and_one_of_them_is_sampled(recipe: str, made: dict[str, Path]) -> None:
    folder = made[recipe]
    cascade = open_folder(folder)
    assert isinstance(cascade, Cascade)
    assert [stage.folder.name for stage in cascade.stages] == ["transformer"]
    plan = read_cascade(folder)
    for stage in CASCADES[recipe]:
        assert Run.open(folder / stage.name).done.steps == share_of(plan, stage).amount
    assert (folder / "samples.png").is_file()
    assert cascade.last.config.shape == (TOKENS[recipe],)
    assert cascade.shape == (1, 8, 8)


@every_cascade
def test_a_model_of_tokens_sees_what_its_tokenizer_writes(recipe: str, made: dict[str, Path]) -> None:
    run, tokenizer = (Run.open(made[recipe] / name) for name in ("transformer", "tokenizer"))
    written = tokens(tokenizer.model, tokenizer.scaling.to_model(some()))
    seen = run.scaling.to_model(some())
    assert torch.equal(seen, written)
    assert seen.dtype == torch.int64
    assert 0 <= int(seen.min()) < int(seen.max()) < run.family.letters.vocabulary.count
    # And back: the tokens of a picture are the picture that the tokenizer rebuilds.
    again = run.scaling.to_data(seen).numpy().astype(int)
    rebuilt = tokenizer.decode(tokenizer.encode(some()))
    assert np.abs(again - rebuilt).max() <= 1  # codes are handed over in float32, perhaps rounded


@every_cascade
def test_training_is_shown_the_tokens_of_each_example(recipe: str, made: dict[str, Path]) -> None:
    run = Run.open(made[recipe] / "transformer")
    training = Training(run.config, digits(), run.folder, Budget.parse("20steps"))
    places = torch.tensor([5, 1600, 77])
    batch = training.fit._load(places)
    # Encoded among others or among three: a tie of two codes is all that rounding could decide.
    assert torch.equal(batch.examples, run.scaling.to_model(digits().train.store.take(places)))
    assert batch.condition is not None
    assert torch.equal(batch.condition.values["label"], digits().train.labels[places])  # type: ignore[index]


@every_cascade
def test_the_transformer_s_folder_is_all_it_takes(recipe: str, made: dict[str, Path], tmp_path: Path) -> None:
    alone = shutil.copytree(made[recipe] / "transformer", tmp_path / "alone")
    run = Run.open(alone)
    assert isinstance(run.scaling, Tokens)
    assert np.array_equal(run.sample(4, seed=3), Cascade.open(made[recipe]).sample(4, seed=3))
    (alone / AUTOENCODER).unlink()
    with pytest.raises(RunError, match=rf"{AUTOENCODER} is missing.*restore it"):
        Run.open(alone)


@every_order
def test_a_picture_is_its_seed_s_and_costs_as_many_passes_as_groups(
    recipe: str, made: dict[str, Path]
) -> None:
    opened = open_folder(made[recipe])
    whole = opened.sample(5, seed=3)
    assert len({picture.tobytes() for picture in whole}) == 5
    alone = opened.sample(1, labels=[opened.classes[4]], seed=7)  # labels are asked for in turn
    assert np.array_equal(alone[0], whole[4])
    moments = list(opened.walk(opened.request(2, seed=3), range(2)))
    assert moments[-1].moment.evaluations == PASSES[recipe]
    assert np.array_equal(moments[-1].state, whole[:2])


@every_order
def test_a_film_shows_the_picture_appear(recipe: str, made: dict[str, Path], tmp_path: Path) -> None:
    film = tmp_path / "film.gif"
    assert call("sample", made[recipe], "-n", "2", "--out", film) == 0
    opened = open_folder(made[recipe])
    shown = [chunk.state for chunk in opened.walk(opened.request(2), range(2))]
    assert len(shown) == {"next-pixel": 8, "next-token": 4, "var": 4}[recipe] + 1
    assert len({state.tobytes() for state in shown}) == len(shown)
    with Image.open(film) as frames:
        assert frames.n_frames == len(shown)  # type: ignore[attr-defined]


@every_order
def test_what_is_kept_of_a_picture_stays_and_the_rest_is_made_up(
    recipe: str, made: dict[str, Path], tmp_path: Path
) -> None:
    picture = some()[0, 0].numpy()
    mask = np.zeros((8, 8), np.uint8)
    mask[:, :4] = 255
    Image.fromarray(picture).save(tmp_path / "picture.png")
    Image.fromarray(mask).save(tmp_path / "mask.png")
    given, out = (tmp_path / "picture.png", tmp_path / "mask.png"), tmp_path / "made.npz"
    assert call("inpaint", made[recipe], *given, "-n", "4", "--out", out) == 0
    with np.load(out) as arrays:
        images = arrays["images"]
    assert (images[:, :, :4] == picture[:, :4]).all()
    rest = {image[:, 4:].tobytes() for image in images}
    assert len(rest) == 4
    assert picture[:, 4:].tobytes() not in rest
    # Not laid over alone: tokens that the mask covers are those of the picture, whatever is drawn.
    opened = open_folder(made[recipe])
    run = opened.last if isinstance(opened, Cascade) else opened
    part = inpaint_guide(run, *given)
    known = part.known  # type: ignore[union-attr]
    assert 0 < int((known != UNKNOWN).sum()) < len(known)
    assert torch.equal(
        known[known != UNKNOWN],
        run.family.letters.read(run.scaling.to_model(some()[:1]))[0][known != UNKNOWN],
    )
    if recipe == "next-pixel":
        request = replace(run.request(4, known=[part]), over=None)
        assert (sample_whole(run, request, 4)[:, 0, :, :4] == picture[:, :4]).all()


@pytest.mark.parametrize(
    ("recipe", "words", "said"),
    [
        ("images", ("--temperature", "0.5"), "chooses no tokens: leave out temperature"),
        ("images", ("--top-k", "3"), "chooses no tokens: leave out top-k"),
        ("next-pixel", ("--steps", "3"), "leave out steps"),
        ("next-token", ("--sampler", "ddim"), "leave out sampler"),
        ("var", ("--steps", "3"), "leave out steps"),
        ("var", ("--guidance", "text=2"), "give one number"),
        ("var", ("--classifier-guidance", "2"), "needs a diffusion model's run"),
        ("var", ("--label", "eleven"), "eleven"),
    ],
)
def test_ways_to_sample_without_effect_are_refused_in_one_line(
    recipe: str,
    words: tuple[str, ...],
    said: str,
    made: dict[str, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "x.npz"
    assert call("sample", made[recipe], "-n", "2", *words, "--out", out) == 2
    told = capsys.readouterr().err.strip()
    assert told.startswith("error: ")
    assert "\n" not in told
    assert said in told
    assert not out.exists()


@every_order
def test_how_tokens_are_chosen_can_be_said(recipe: str, made: dict[str, Path], tmp_path: Path) -> None:
    opened = open_folder(made[recipe])
    how = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "guidance": 1.0}
    plain = opened.sample(4, **how)
    # The most probable token alone leaves nothing to chance: pictures of one label are one.
    surest = opened.sample(4, labels=[opened.classes[0]], temperature=0.0)
    assert all(np.array_equal(surest[0], other) for other in surest)
    assert not np.array_equal(plain, opened.sample(4, **how | {"temperature": 0.001}))
    assert not np.array_equal(plain, opened.sample(4, **how | {"top_k": 2}))
    out = tmp_path / "said.npz"
    words = ("--temperature", "0.7", "--top-k", "9", "--top-p", "0.8", "--guidance", "1.5")
    assert call("sample", made[recipe], "-n", "4", *words, "--out", out) == 0
    with np.load(out) as arrays:
        said = opened.sample(4, temperature=0.7, top_k=9, top_p=0.8, guidance=1.5)
        assert np.array_equal(arrays["images"], said[:, 0])


@every_cascade
@pytest.mark.parametrize("stopped", STAGES)
def test_both_stages_go_on_bit_by_bit(
    recipe: str,
    stopped: str,
    made: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder, begin = tmp_path / "half", Training.events

    def interrupted(training: Training, stop: StopRequest) -> Iterator[Event]:
        for event in begin(training, stop):
            yield event
            if isinstance(event, Stepped) and training.folder.name == stopped and event.done.steps == 3:
                stop.name = "the test"

    monkeypatch.setattr(Training, "events", interrupted)
    train_as_wished(wish(recipe, folder), resume=False)
    said = "".join(capsys.readouterr().err.split())
    assert said.endswith("".join(f"sfumato train --resume --out {folder}".split()))
    assert load(folder / stopped / CHECKPOINT).state["done"]["steps"] == 3
    monkeypatch.setattr(Training, "events", begin)
    train_as_wished(wish(None, folder, settings=(), budget=None), resume=True)
    for stage in STAGES:
        again, whole = (load(place / stage / CHECKPOINT).tensors for place in (folder, made[recipe]))
        assert again.keys() == whole.keys()
        for key, value in whole.items():
            assert torch.equal(again[key], value), (stage, key)
    kept, other = (load(place / "transformer" / AUTOENCODER).tensors for place in (folder, made[recipe]))
    assert all(torch.equal(kept[key], other[key]) for key in other)


@every_cascade
def test_it_is_scored_as_any_run(recipe: str, made: dict[str, Path]) -> None:
    assert call("evaluate", made[recipe], "-n", "100", "--temperature", "0.9") == 0
    scores = json.loads((made[recipe] / "scores.json").read_text())
    assert "temperature" in json.dumps(scores)
    assert (made[recipe] / "transformer" / "report.html").is_file()


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("tokenizer.family.nonsense=1", r"stage 'tokenizer'.*nonsense.*Choose from.*codes"),
        ("transformer.family.nonsense=1", r"stage 'transformer'.*nonsense.*Choose from.*top_k"),
        ("transformer.family.temperature=-1", r"stage 'transformer'.*temperature"),
        ("tokenizer.family.codes=1", r"stage 'tokenizer'.*codes must be at least 2"),
        ("family.width=16", r"which stage it is for.*tokenizer, transformer"),
    ],
)
@every_cascade
def test_settings_that_cannot_be_are_refused_before_anything_is_written(
    recipe: str, setting: str, said: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=said):
        train_as_wished(wish(recipe, tmp_path / "new", settings=(setting,)), resume=False)
    assert not (tmp_path / "new").exists()


def test_each_order_needs_the_tokens_of_its_own_tokenizer(
    made: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for home, recipe, said in (
        (made["var"] / "tokenizer", "token-transformer", "choose recipe scale-transformer"),
        (made["next-token"] / "tokenizer", "scale-transformer", "choose recipe token-transformer"),
        (made["var"] / "transformer", "scale-transformer", "has no codes to train in"),
        (made["next-pixel"], "token-transformer", "has no codes to train in"),
    ):
        words = ("train", "digits", "--latent", home, "--recipe", recipe, "--budget", "2steps")
        assert call(*words, "--out", tmp_path / "new") == 2
        assert said in " ".join(capsys.readouterr().err.split())
        assert not (tmp_path / "new").exists()
    with pytest.raises(ConfigError, match=r"by --latent RUN.*next-token or var"):
        configure(digits(), "scale-transformer")


@every_cascade
def test_tokenizer_and_transformer_say_what_the_other_one_does(
    recipe: str, made: dict[str, Path], tmp_path: Path
) -> None:
    tokenizer, transformer = (made[recipe] / name for name in STAGES)
    with pytest.raises(ConfigError, match="no prior to sample from"):
        Run.open(tokenizer).sample(2)
    with pytest.raises(ConfigError, match="has no codes"):
        Run.open(transformer).encode(some())
    assert call("reconstruct", tokenizer, "--out", tmp_path / "pairs.png") == 0
    assert call("encode", tokenizer, "--out", tmp_path / "codes.npz") == 0
    assert call("decode", tokenizer, tmp_path / "codes.npz", "--out", tmp_path / "decoded.npz") == 0
    with np.load(tmp_path / "decoded.npz") as arrays:
        assert arrays["images"].shape == (1797, 8, 8)
    # What encodes and decodes is one folder; what holds two says which to name.
    assert call("encode", made[recipe], "--out", tmp_path / "no.npz") == 2


def test_a_trained_transformer_can_be_taken_up_with_more_steps(made: dict[str, Path], tmp_path: Path) -> None:
    """By itself, without its tokenizer's folder: it has kept all that it needs."""
    alone = shutil.copytree(made["var"] / "transformer", tmp_path / "alone")
    before = (alone / AUTOENCODER).read_bytes()
    config = Run.open(alone).config
    training = Training(config, digits(), alone, Budget.parse("16steps"))
    training.resume()
    exhaust(training)
    assert Run.open(alone).done.steps == 16
    assert (alone / AUTOENCODER).read_bytes() == before

"""`sfumato likelihood` of models of pixels: the sum of what each costs, and no bound."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from helpers import call
from sfumato.condition import Condition
from sfumato.data import Dataset, load_data
from sfumato.families.agreements import UNKNOWN
from sfumato.runs.run import Run

SMALL = ("--set", "family.width=16", "--set", "family.layers=1", "--set", "training.batch=32")
WAYS = {
    "digits": (("next-pixel",), 17),
    "black and white": (("next-pixel", "--binarise"), 2),
    "convolutions": (("pixel-cnn",), 17),
    "four levels": (("next-pixel", "--set", "family.levels=4"), 4),
}
"""How a run is trained, and the levels it has then."""
every_way = pytest.mark.parametrize("way", WAYS)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    place, found = tmp_path_factory.mktemp("exact"), {}
    for way, (words, _) in WAYS.items():
        recipe, *more = words
        train = ("train", "digits", "--recipe", recipe, *more, *SMALL, "--budget", "40steps")
        assert call(*train, "--out", place / way) == 0
        found[way] = Run.open(place / way)
    return found


def numbers(capsys: pytest.CaptureFixture[str], *words: str | Path) -> dict:
    capsys.readouterr()
    assert call("likelihood", *words, "--json") == 0
    return json.loads(capsys.readouterr().out)


def data_of(run: Run) -> Dataset:
    return load_data("digits", **run.config.data.reading)


def pixels(x: torch.Tensor, levels: int) -> np.ndarray:
    """Return bytes (N, 1, H, W) as the nearest of evenly spaced levels, row after row: (N, H·W)."""
    return np.rint(x.numpy().reshape(len(x), -1).astype(float) * (levels - 1) / 255).astype(int)


@every_way
def test_it_is_the_sum_of_what_each_pixel_costs_given_those_before(
    way: str, runs: dict[str, Run], capsys: pytest.CaptureFixture[str]
) -> None:
    run, levels = runs[way], WAYS[way][1]
    found = numbers(capsys, run.folder, "-n", "180")
    examples, labels = data_of(run).held_out.batch(torch.arange(180))
    tokens = torch.from_numpy(pixels(examples, levels))
    nats = torch.zeros(180, dtype=torch.float64)
    for place in range(64):
        # Pixel by pixel, the later ones hidden, so that nothing can be known from them.
        seen = tokens.where(torch.arange(64) < place, UNKNOWN)
        with torch.inference_mode():
            logits = run.family.module(seen, Condition.of(label=labels))[:, place].double()
        nats -= logits.log_softmax(-1).gather(1, tokens[:, place, None])[:, 0]
    # Networks run in float32; the command prints no more than it measures.
    assert found["exact"]["nats"] == pytest.approx(float(nats.mean()), abs=1e-3)
    assert found["exact"]["bits_per_dimension"] == pytest.approx(float(nats.mean()) / 64 / math.log(2))
    assert found["levels"] == levels
    assert found["dimensions"] == 64
    assert found["given"] == ["label"]
    assert found["examples"] == 180


@every_way
def test_the_histogram_beside_it_is_counted_place_by_place(
    way: str, runs: dict[str, Run], capsys: pytest.CaptureFixture[str]
) -> None:
    run, levels = runs[way], WAYS[way][1]
    found = numbers(capsys, run.folder, "-n", "180")
    data = data_of(run)
    seen, asked = (
        pixels(split.batch(torch.arange(len(split)))[0], levels) for split in (data.train, data.held_out)
    )
    nats = sum(
        -math.log((int((seen[:, place] == value).sum()) + 1) / (len(seen) + levels))
        for example in asked
        for place, value in enumerate(example)
    )
    assert found["histogram"]["nats"] == pytest.approx(nats / len(asked), rel=1e-6)


@every_way
def test_it_says_where_levels_are_not_all_values(
    way: str, runs: dict[str, Run], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = runs[way].folder
    assert numbers(capsys, folder, "-n", "20")["lossless"] == (way != "four levels")
    assert call("likelihood", folder, "-n", "20") == 0
    said = capsys.readouterr()
    told = " ".join((said.out + said.err).split())
    assert ("rounded to the model's 4 levels" in told) == (way == "four levels")
    assert "no bound" in told
    assert "given the label of each" in told


def test_recipes_take_as_many_levels_as_the_data_has(runs: dict[str, Run]) -> None:
    for way, (_, levels) in WAYS.items():
        assert runs[way].family.letters.vocabulary.count == levels


def test_a_model_that_learned_guidance_is_said_to_be_sharper_than_its_data(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    guided = ("--set", "family.learned_guidance=2", "--budget", "2steps", "--out", tmp_path / "run")
    assert call("train", "digits", "--recipe", "next-pixel", *SMALL, *guided) == 0
    assert call("likelihood", tmp_path / "run", "-n", "20") == 0
    assert "family.learned_guidance=1 for that of the data" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("words", [("--steps", "9"), ("--probes", "2")])
def test_options_of_the_bound_are_refused(
    words: tuple[str, str], runs: dict[str, Run], capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("likelihood", runs["digits"].folder, *words) == 2
    assert "is exact: leave --steps and --probes out" in " ".join(capsys.readouterr().err.split())


def test_what_lives_in_codes_or_tokens_has_none_of_pictures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = tmp_path / "tokenizer"
    small = ("--set", "family.width=16", "--budget", "2steps", "--out")
    assert call("train", "digits", "--recipe", "vq-vae", *small, home) == 0
    run = tmp_path / "transformer"
    assert call("train", "digits", "--recipe", "token-transformer", "--latent", home, *small, run) == 0
    capsys.readouterr()
    assert call("likelihood", run) == 2
    told = capsys.readouterr().err.strip()
    assert "has no likelihood of pictures" in told
    assert "\n" not in told
    assert call("likelihood", home) == 2

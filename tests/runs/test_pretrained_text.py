"""Runs that are told sentences as an encoder of others reads them, which they keep."""

import shutil
from collections import deque
from pathlib import Path

import numpy as np
import pytest
import torch

import sfumato
from encoders import bert, saved
from helpers import captioned_folder
from sfumato.app.training import TrainingWish, resume_run
from sfumato.data import Dataset, load_data
from sfumato.errors import ConfigError, LostWords, RunError
from sfumato.recipes import configure
from sfumato.runs.conditions.pretrained import TEXT_ENCODER, PretrainedReader
from sfumato.runs.fitting import Training, begin_training
from sfumato.runs.run import Run
from sfumato.text.pretrained import PretrainedText
from sfumato.train.budget import Budget
from sfumato.train.events import Stepped
from sfumato.train.signals import StopRequest

SMALL = (
    "network.widths=[16]",
    "training.batch=8",
    "training.warmup=2",
    "training.learning_rate=0.003",
)
PROMPTS = ("a red circle", "a blue square")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return load_data(captioned_folder(tmp_path_factory.mktemp("data")))


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("encoder")
    saved(bert, folder)
    (folder / "pytorch_model.bin").write_bytes(b"a pickle")
    (folder / "modeling.py").write_text("raise SystemExit\n")
    return folder


@pytest.fixture(scope="module")
def run(data: Dataset, encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run whose encoder's own folder is gone."""
    root = tmp_path_factory.mktemp("runs")
    shutil.copytree(encoder, root / "passing")
    sfumato.fit(data, root / "run", budget="30steps", settings=SMALL, text_encoder=root / "passing")
    shutil.rmtree(root / "passing")
    return sfumato.open_run(root / "run")


def reader_of(run: Run) -> PretrainedReader:
    reader = run.conditions.readers["text"]
    assert isinstance(reader, PretrainedReader)
    return reader


def test_the_run_keeps_what_it_takes_and_no_more(run: Run, encoder: Path) -> None:
    kept = {path.name for path in (run.folder / TEXT_ENCODER).iterdir()}
    assert kept == {path.name for path in encoder.iterdir()} - {"pytorch_model.bin", "modeling.py"}
    same = (run.folder / TEXT_ENCODER / "model.safetensors").read_bytes()
    assert same == (encoder / "model.safetensors").read_bytes()


def test_captions_are_told_as_the_encoder_reads_them(run: Run, data: Dataset, encoder: Path) -> None:
    captions = data.train.captions
    assert captions is not None
    places = torch.tensor([7, 0, 7])
    told = reader_of(run).of_split(data.train)(places, data.train.batch(places)[0])
    length = run.config.conditions["text"]["length"]
    read = PretrainedText.open(encoder, length).encode([captions[place] for place in places])
    assert told.shape == (3, length, 17)
    assert told[..., -1].bool().equal(read.present)
    # Kept in float16, of about unit size: 11 bits.
    torch.testing.assert_close(told[..., :-1], read.each, rtol=1e-3, atol=1e-3)
    asked = reader_of(run).asked([captions[7]], 1)
    assert asked is not None
    torch.testing.assert_close(asked[0], told[0], rtol=1e-3, atol=1e-3)


def test_rows_are_as_long_as_the_longest_caption_and_no_longer_than_the_network_takes(run: Run) -> None:
    assert run.config.conditions["text"]["length"] <= 12  # that of the network's places
    assert reader_of(run).nothing(2).shape == (2, run.config.conditions["text"]["length"], 17)
    reader = reader_of(run)
    assert reader.lost(["a red circle"]) == []
    with pytest.warns(LostWords, match="does not know 'vermilion'"):
        run.request(1, prompts=["a vermilion circle"])
    assert "no more than" in reader.lost(["a red circle left of a blue square left of a red square"])[-1]


def test_prompts_guide_and_are_led_away_from(run: Run) -> None:
    plain = run.sample(2, prompts=PROMPTS, guidance=1.0)
    assert np.array_equal(run.sample(2, prompts=PROMPTS, guidance=0.0), run.sample(2, guidance=0.0))
    guided = run.sample(2, prompts=PROMPTS, guidance=4.0)
    assert not np.array_equal(plain, guided)
    negative = run.sample(2, prompts=PROMPTS, guidance=4.0, negative=["a red square"])
    assert not np.array_equal(guided, negative)
    with pytest.raises(ConfigError, match="knows no word of 'xyzzy'"):
        run.request(1, prompts=["xyzzy"])


def test_a_resumed_training_is_the_uninterrupted_one_bit_by_bit(
    data: Dataset, encoder: Path, tmp_path: Path
) -> None:
    passing = tmp_path / "passing"
    shutil.copytree(encoder, passing)
    config, budget = configure(data, settings=SMALL, text_encoder=passing), Budget.parse("4steps")
    whole, half = (begin_training(config, data, tmp_path / name, budget) for name in ("whole", "half"))
    shutil.rmtree(passing)
    deque(whole.events(StopRequest()), maxlen=0)
    stop = StopRequest()
    for event in half.events(stop):
        if isinstance(event, Stepped) and event.done.steps == 2:
            stop.name = "a test"
    again = Training(config, data, tmp_path / "half", budget)
    again.resume()
    deque(again.events(StopRequest()), maxlen=0)
    expected, found = whole.fit.tensors(), again.fit.tensors()
    assert expected.keys() == found.keys()
    assert all(torch.equal(value, found[name]) for name, value in expected.items())


def test_whoever_is_distilled_from_it_reads_alike(run: Run, tmp_path: Path) -> None:
    student = sfumato.distill(run, tmp_path / "student", budget="1steps", settings=("training.batch=8",))
    words = (reader_of(each).asked(PROMPTS, 2) for each in (run, student))
    assert torch.equal(*words)
    assert student.sample(2, prompts=PROMPTS).shape == (2, *run.shape)


def test_wrong_use_says_so(data: Dataset, encoder: Path, run: Run, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is no folder"):
        configure(data, text_encoder=tmp_path / "nowhere")
    with pytest.raises(ConfigError, match="no captions: leave out the text encoder"):
        configure(load_data("digits"), text_encoder=encoder)
    with pytest.raises(ConfigError, match="recipe 'clip' is told no features"):
        configure(data, "clip", text_encoder=encoder)
    config = configure(data, settings=("conditions.text.length=40",), text_encoder=encoder)
    with pytest.raises(ConfigError, match="at most 12 tokens"):
        begin_training(config, data, tmp_path / "long", Budget.parse("1steps"))
    wish = TrainingWish(None, run.folder, None, (), None, None, {}, text_encoder=encoder)
    with pytest.raises(ConfigError, match="without --latent, --encoder, --text-encoder"):
        resume_run(wish)


def test_files_of_another_encoder_are_not_mixed_in(data: Dataset, encoder: Path, tmp_path: Path) -> None:
    other = tmp_path / "run" / TEXT_ENCODER / "model-00001-of-00002.safetensors"
    other.parent.mkdir(parents=True)
    other.write_bytes(b"a shard")
    with pytest.raises(ConfigError, match="of another encoder"):
        sfumato.fit(data, tmp_path / "run", budget="1steps", settings=SMALL, text_encoder=encoder)
    assert other.read_bytes() == b"a shard"


def test_a_run_without_its_encoder_says_what_is_missing(run: Run, tmp_path: Path) -> None:
    shutil.copytree(run.folder, tmp_path / "run")
    weights = tmp_path / "run" / TEXT_ENCODER / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    with pytest.raises(RunError, match="is no text encoder that can be read"):
        sfumato.open_run(tmp_path / "run")
    shutil.rmtree(weights.parent)
    with pytest.raises(RunError, match="text_encoder is missing"):
        sfumato.open_run(tmp_path / "run")

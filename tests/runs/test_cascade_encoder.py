"""Cascades whose words are read by an encoder of others, which only the stage that is asked first needs."""

from pathlib import Path

import numpy as np
import pytest

import sfumato
from encoders import bert, saved
from helpers import call, captioned_folder
from sfumato.data import Dataset, load_data
from sfumato.errors import ConfigError
from sfumato.runs.cascade.cascade import Cascade
from sfumato.runs.cascade.config import read_cascade
from sfumato.runs.conditions.pretrained import PretrainedReader
from sfumato.runs.conditions.text import TextReader

NETWORK = ("network.widths=[16]", "network.fold=2", "training.batch=8", "training.learning_rate=0.003")
OF_CLIP = ("family.widths=[16,16]", "family.embedding=8", "family.width=16", "training.batch=16")
OF_PRIOR = ("network.width=16", "network.layers=1", "training.batch=16")
STAGES = {
    "glide": {"base": NETWORK, "upsampler": NETWORK},
    "dalle": {"clip": OF_CLIP, "prior": OF_PRIOR, "decoder": NETWORK, "upsampler": NETWORK},
}
PROMPTS = ["a red circle", "a blue square"]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("encoder")
    saved(bert, folder)
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return load_data(captioned_folder(tmp_path_factory.mktemp("data"), size=32))


def settings(recipe: str) -> list[str]:
    return [f"{stage}.{setting}" for stage, said in STAGES[recipe].items() for setting in said]


@pytest.mark.parametrize("recipe", STAGES)
def test_the_first_stage_of_sampling_reads_by_it_and_the_others_learn_to(
    data: Dataset, encoder: Path, tmp_path: Path, recipe: str
) -> None:
    how = {"budget": "30steps", "settings": settings(recipe), "text_encoder": encoder}
    cascade = sfumato.fit_cascade(data, tmp_path / "run", recipe, **how)  # type: ignore[arg-type]
    readers = [stage.conditions.readers.get("text") for stage in cascade.stages]
    assert isinstance(readers[0], PretrainedReader)
    assert isinstance(readers[-1], TextReader)
    assert sum(isinstance(reader, PretrainedReader) for reader in readers) == 1
    assert read_cascade(cascade.folder).text_encoder == str(encoder)
    assert cascade.sample(2, prompts=PROMPTS).shape == (2, 3, 32, 32)


def test_the_command_line_takes_it_and_a_resumed_cascade_keeps_it(
    data: Dataset, encoder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    words = [word for setting in settings("glide") for word in ("--set", setting)]
    begin = ("train", data.source, "--recipe", "glide", "--budget", "20steps", "--out", run)
    assert call(*begin, "--text-encoder", encoder, *words) == 0
    assert call("train", "--resume", "--out", run, "--budget", "40steps", "--text-encoder", encoder) == 2
    assert "keeps the encoders it began with" in " ".join(capsys.readouterr().err.split())
    assert call("train", "--resume", "--out", run, "--budget", "40steps") == 0
    assert [stage.done.steps for stage in Cascade.open(run).stages] == [28, 12]


def test_what_no_stage_can_use_is_refused(data: Dataset, encoder: Path, tmp_path: Path) -> None:
    out, how = tmp_path / "run", {"text_encoder": encoder}
    with pytest.raises(ConfigError, match=r"stage 'base'.*config"):
        sfumato.fit_cascade(data, out, "glide", text_encoder=tmp_path / "none")
    with pytest.raises(ConfigError, match=r"stage 'transformer'.*leave out the text encoder"):
        sfumato.fit_cascade(data, out, "next-token", **how)  # type: ignore[arg-type]
    bare = load_data(np.zeros((8, 32, 32, 3), np.uint8))
    with pytest.raises(ConfigError, match=r"stage 'base'.*has no captions"):
        sfumato.fit_cascade(bare, out, "glide", **how)  # type: ignore[arg-type]
    assert not out.exists()

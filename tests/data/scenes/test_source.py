"""Scenes as a data set: what is shown in training, what is held out, at any size."""

import numpy as np
import pytest
import torch

from sfumato.data import Dataset, load_data
from sfumato.data.pictures import Form
from sfumato.data.scenes import is_held_out, parse
from sfumato.data.scenes.source import HELD_OUT, TRAINING, ScenePictures, scenes
from sfumato.data.scenes.words import VOCABULARY


@pytest.fixture(scope="module")
def data() -> Dataset:
    return load_data("scenes")


def test_the_splits(data: Dataset) -> None:
    assert data.shape == (3, 32, 32)
    assert (len(data.train), len(data.held_out)) == (TRAINING, HELD_OUT)
    assert data.train.captions is not None
    assert data.held_out.captions is not None
    assert not any(is_held_out(parse(text)) for text in data.train.captions)
    anew = [is_held_out(parse(text)) for text in data.held_out.captions]
    assert sum(anew) == HELD_OUT // 2
    assert {word for text in data.train.captions for word in text.split()} == VOCABULARY


def test_no_two_pictures_are_equal(data: Dataset) -> None:
    pictures = torch.cat(
        [split.store.take(torch.arange(len(split))) for split in (data.train, data.held_out)]
    )
    assert len(np.unique(pictures.flatten(1).numpy(), axis=0)) == TRAINING + HELD_OUT


def test_the_seed_is_that_of_the_drawing(data: Dataset) -> None:
    again, other = scenes(0), scenes(1)
    assert again.captions == (*(data.train.captions or ()), *(data.held_out.captions or ()))
    assert other.captions != again.captions
    assert isinstance(again.examples, ScenePictures)
    first = again.examples.fit(0, Form(32, 3, (255, 255, 255)))
    assert np.array_equal(first, data.train.store.take(torch.tensor([0]))[0].numpy())


def test_scenes_are_drawn_at_the_size_asked_for_and_in_grey_on_wish(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sfumato.data.scenes.source.TRAINING", 60)
    monkeypatch.setattr("sfumato.data.scenes.source.HELD_OUT", 40)
    large, grey = load_data("scenes", size=64), load_data("scenes", size=16, channels=1)
    assert large.shape == (3, 64, 64)
    assert grey.shape == (1, 16, 16)
    assert large.train.captions == grey.train.captions
    assert len(large.held_out) == 40
    # The same scenes: the large ones averaged four by four and turned grey (ITU-R 601), to rounding.
    every = torch.arange(60)
    weights = torch.tensor([0.299, 0.587, 0.114])
    coarse = large.train.store.take(every).double().unflatten(3, (16, 4)).unflatten(2, (16, 4)).mean((3, 5))
    expected = torch.einsum("c,nchw->nhw", weights.double(), coarse)
    assert (expected - grey.train.store.take(every)[:, 0]).abs().max() <= 2

"""Data and judges that the tests share; the judge of the digits is trained once."""

import pytest
import torch

from sfumato.data import load_data
from sfumato.data.dataset import Dataset, Split
from sfumato.data.store import MemoryStore
from sfumato.metrics import classifier, judge_for
from sfumato.randomness import generator


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """On pictures this small threads mostly wait for each other, for minutes when the machine is busy."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def short_lessons(monkeypatch):
    """The drawn bars are learned in a blink; the digits, of which there are more, are trained in full."""
    monkeypatch.setattr(classifier, "LEAST_SEEN", 0)


@pytest.fixture(scope="session")
def digits():
    return load_data("digits")


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("judges")


@pytest.fixture(scope="session")
def judge(digits, folder):
    return judge_for(digits, folder)


@pytest.fixture(scope="session")
def bars():
    """64 pictures of 8×8 with a vertical (class 0) or horizontal (class 1) bar, and 16 held out."""
    draws = generator(0, "bars")
    labels = torch.randint(2, (80,), generator=draws)
    places = torch.randint(1, 7, (80,), generator=draws)
    pictures = torch.randint(0, 40, (80, 1, 8, 8), generator=draws, dtype=torch.uint8)
    for picture, label, place in zip(pictures, labels.tolist(), places.tolist(), strict=True):
        line = picture[0, :, place] if label == 0 else picture[0, place]
        line.fill_(255)
    train, held_out = (
        Split(MemoryStore(pictures, rows), labels[rows]) for rows in torch.arange(80).split(64)
    )
    return Dataset("bars", "drawn", train, held_out, ("vertical", "horizontal"))

"""Compiled sampling: long requests go over to it once it agrees, with the same images up to rounding."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from helpers import exhaust, tiny_training
from sfumato.errors import ConfigError
from sfumato.families.agreements import Moment
from sfumato.runs import hastening
from sfumato.runs import run as runs
from sfumato.runs.hastening import Hastened
from sfumato.runs.run import Run
from sfumato.runs.sampling import Chunk, Request, Sampled, sample_whole

SIZE = 4
"""Images of a whole chunk."""
REQUEST = Request(10, 0, None, None)
"""Of two whole chunks and a half."""


class Told:
    """Stands for a run: image i of a chunk is i·factor, and it remembers which places it was asked for."""

    def __init__(self, factor: float) -> None:
        self.factor, self.asked = factor, list[range]()

    def walk(self, request: Request, places: range) -> Iterator[Chunk]:
        self.asked.append(places)
        for index in range(2):
            x = torch.arange(float(len(places)))[:, None] * self.factor
            yield Chunk(places, Moment(index, 1, x, x, index), x.numpy(), x.numpy())


def _sampled(
    compiled: Callable[[], Sampled] | None, worth: float = 0.0
) -> tuple[list[float], list[str], list[range]]:
    """Sample `REQUEST`; return its images, what was said, and the places the plain one was asked for."""
    said, plain = list[str](), Told(1.0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hastening, "WORTH_COMPILING", worth)
        way = Hastened(plain, compiled, SIZE, said.append)
        made = sample_whole(way, REQUEST, SIZE)
    return made[:, 0].tolist(), said, plain.asked


def test_whole_chunks_are_compiled_once_that_is_known_to_agree() -> None:
    fast = Told(1.01)
    made, said, asked = _sampled(lambda: fast)
    assert made == pytest.approx([0, 1, 2, 3, 0, 1.01, 2.02, 3.03, 0, 1])
    assert fast.asked == [range(4), range(4, 8)]
    assert asked == [range(4), range(8, 10)]
    assert not said


def test_short_requests_are_never_compiled() -> None:
    fast = Told(1.0)
    _sampled(lambda: fast, worth=3600)
    assert not fast.asked


@pytest.mark.parametrize(("processes", "asked"), [(1, 1), (2, 0)])
def test_a_request_that_others_share_is_shorter(processes: int, asked: int) -> None:
    """One chunk took a second and one and a half are left, of which two processes take 0.75 s each."""
    fast = Told(1.0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hastening, "WORTH_COMPILING", 1.0)
        patch.setattr(hastening, "perf_counter", iter((0.0, 1.0)).__next__)
        list(Hastened(Told(1.0), lambda: fast, SIZE, processes=processes).walk(REQUEST, range(4)))
    assert len(fast.asked) == asked


def test_one_that_disagrees_is_found_out_and_not_asked_again() -> None:
    wrong = Told(1.2)
    made, said, _ = _sampled(lambda: wrong)
    assert made == [0, 1, 2, 3, 0, 1, 2, 3, 0, 1]
    # The root of the mean square of 0, 1, 2, 3 is 1.87, a fifth of which is 0.33 of their deviation 1.12.
    assert said == ["sampling goes on without compilation: the compiled network is off by 33%"]
    assert wrong.asked == [range(4)]


def test_one_that_is_no_number_is_found_out() -> None:
    assert "off by nan" in _sampled(lambda: Told(float("nan")))[1][0]


def test_one_that_fails_is_left_out_with_a_notice() -> None:
    def broken() -> Sampled:
        raise RuntimeError("no compiler")

    made, said, asked = _sampled(broken)
    assert made == [0, 1, 2, 3, 0, 1, 2, 3, 0, 1]
    assert said == ["sampling goes on without compilation: it failed (RuntimeError)"]
    assert asked == REQUEST.chunks(SIZE)


def test_where_there_is_nothing_to_compile_nothing_is_asked_twice() -> None:
    assert _sampled(None)[2] == REQUEST.chunks(SIZE)


def test_a_family_of_its_own_has_nothing_to_compile(tmp_path: Path) -> None:
    training = tiny_training(tmp_path / "run", 1)
    training.begin()
    exhaust(training)
    run = Run.open(tmp_path / "run")
    run.model = type("Other", (), {"called": "a run of 'gan'"})()  # type: ignore[assignment]
    with pytest.raises(ConfigError, match="needs a diffusion model"):
        run.compiled()


@pytest.mark.slow
@pytest.mark.parametrize(("precision", "levels"), [("fp32", 1), ("bf16", 8)])
def test_a_compiled_run_samples_the_same_images(tmp_path: Path, precision: str, levels: int) -> None:
    """Bytes differ by rounding alone: a compiled network sums in another order, see `test_sampling`."""
    training = tiny_training(tmp_path / "run", 60, "training.learning_rate=0.003", f"precision={precision}")
    training.begin()
    exhaust(training)
    run = Run.open(tmp_path / "run")
    request = run.request(12, seed=5)
    said: list[str] = []
    plain = sample_whole(run, request, SIZE).astype(int)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hastening, "WORTH_COMPILING", 0.0)
        patch.setattr(runs, "CHUNK", SIZE)
        before = torch._dynamo.utils.counters["stats"]["unique_graphs"]
        fast = sample_whole(run.hastened(said.append), request, SIZE)
        assert torch._dynamo.utils.counters["stats"]["unique_graphs"] > before  # something was compiled
    assert not said
    difference = np.abs(fast.astype(int) - plain)
    assert difference.max() <= levels
    assert difference.mean() <= 0.02 * levels

"""Runs that are told words: they resume exactly, follow seeds, and say what they do not hear."""

import shutil
import warnings
from collections import deque
from pathlib import Path

import numpy as np
import pytest

import sfumato
from helpers import call, captioned_folder
from sfumato.app.guiding import weights_of
from sfumato.data import Dataset, load_data
from sfumato.diffusion.grids import FittedGrid
from sfumato.errors import ConfigError, DataError, LostWords, RunError
from sfumato.recipes import configure
from sfumato.runs.conditions.build import Conditions, Wishes
from sfumato.runs.conditions.label import LabelReader
from sfumato.runs.conditions.text import TOKENIZER, TextReader
from sfumato.runs.fitting import Training, begin_training
from sfumato.runs.grids import arguments, fit_run_grid, kept_grids
from sfumato.runs.guides import weaker_guide
from sfumato.runs.registry import complete
from sfumato.runs.run import Run
from sfumato.text.learning import usual
from sfumato.train.budget import Budget
from sfumato.train.events import Stepped
from sfumato.train.signals import StopRequest

SMALL = (
    "network.widths=[16]",
    "network.fold=2",
    "conditions.text.width=16",
    "conditions.text.layers=1",
    "training.batch=8",
    "training.warmup=2",
    "training.learning_rate=0.003",
)
PROMPTS = ("a red circle", "two blue squares")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return load_data(captioned_folder(tmp_path_factory.mktemp("data")))


def trained(data: Dataset, folder: Path, steps: int, stop_at: int | None = None, *settings: str) -> Training:
    config = configure(data, settings=(*SMALL, *settings))
    training = begin_training(config, data, folder, Budget.parse(f"{steps}steps"))
    stop = StopRequest()
    for event in training.events(stop):
        if isinstance(event, Stepped) and event.done.steps == stop_at:
            stop.name = "a test"
    return training


@pytest.fixture(scope="module")
def run(data: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("runs") / "run"
    trained(data, folder, 30)
    return Run.open(folder)


def test_a_resumed_training_is_the_uninterrupted_one_bit_by_bit(data: Dataset, tmp_path: Path) -> None:
    whole = trained(data, tmp_path / "whole", 4)
    half = trained(data, tmp_path / "half", 4, stop_at=2)
    again = Training(half.config, data, tmp_path / "half", Budget.parse("4steps"))
    again.resume()
    deque(again.events(StopRequest()), maxlen=0)
    expected, found = whole.fit.tensors(), again.fit.tensors()
    assert expected.keys() == found.keys()
    assert all(np.array_equal(value.numpy(), found[name].numpy()) for name, value in expected.items())


def test_prompts_cycle_and_each_picture_is_its_seed_s(run: Run) -> None:
    four = run.sample(4, prompts=PROMPTS, seed=3)
    # A byte moves where it stood on the edge between two: kernels add in another order for another batch.
    for place in range(4):
        alone = run.sample(1, prompts=[PROMPTS[place % 2]], seed=3 + place)[0]
        assert np.abs(alone.astype(int) - four[place].astype(int)).max() <= 8
    assert not np.array_equal(four[:1], run.sample(1, prompts=["three green crosses"], seed=3))


def test_guidance_off_is_the_model_and_0_ignores_the_prompt_bitwise(run: Run) -> None:
    plain = run.sample(2, prompts=PROMPTS, guidance=1.0)
    request = run.request(2, prompts=PROMPTS, guidance=1.0)
    assert run.diffusion.family.guided(request.options).evaluations(0.5, request.condition) == 1
    assert np.array_equal(run.sample(2, prompts=PROMPTS, guidance=0.0), run.sample(2, guidance=0.0))
    assert not np.array_equal(plain, run.sample(2, prompts=PROMPTS, guidance=4.0))


def test_a_negative_prompt_is_led_away_from(run: Run) -> None:
    guided = run.sample(2, prompts=PROMPTS, guidance=4.0)
    negative = run.sample(2, prompts=PROMPTS, guidance=4.0, negative=["a green cross"])
    assert not np.array_equal(guided, negative)
    # Away from the very thing that is asked for, nothing is left of guidance.
    same = run.sample(2, prompts=PROMPTS, guidance=4.0, negative=PROMPTS)
    plain = run.sample(2, prompts=PROMPTS, guidance=1.0)
    assert np.abs(same.astype(int) - plain.astype(int)).max() <= 8


def test_the_words_of_examples_are_asked_for_where_nobody_asks(run: Run, data: Dataset) -> None:
    request = run.request(3, like=data.held_out)
    assert data.held_out.captions is not None
    assert request.prompts == data.held_out.captions[:3]


def test_what_is_not_heard_is_said(run: Run) -> None:
    reader = run.conditions.readers["text"]
    assert isinstance(reader, TextReader)
    assert reader.lost(["a red circle"]) == []
    with pytest.warns(LostWords) as told:
        run.request(2, prompts=["a vermilion circle", "a vermilion square"], negative=["a mauve circle"])
    assert [str(each.message).split("'")[1] for each in told] == ["vermilion", "mauve"]
    long = "a red circle in the top left and a blue square and a green cross and a red triangle"
    assert "no more than" in reader.lost([long])[-1]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run.request(1, prompts=["a red circle"])
    with pytest.raises(ConfigError, match="knows no word of 'xyzzy'"):
        run.request(1, prompts=["xyzzy"])


def test_the_command_line_says_once_what_is_not_heard(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["-n", "1", "--steps", "1", "--prompt", "a vermilion circle", "--out", tmp_path / "x.png"]
    for _ in range(2):  # a second call in one program says it again
        assert call("sample", run.folder, *words) == 0
        said = capsys.readouterr().err
        assert said.count("vermilion") == 1
        assert "note: this model does not know 'vermilion'" in said


def test_a_run_that_reads_other_words_cannot_guide(run: Run, data: Dataset, tmp_path: Path) -> None:
    weaker_guide(run, Run.open(run.folder), 2.0)
    other = tmp_path / "other"
    shutil.copytree(run.folder, other)
    # The same words in another order, as other captions might have them: as many, but other tokens.
    told = (run.folder / TOKENIZER).read_text()
    swapped = told.replace('"red"', '"?"').replace('"blue"', '"red"').replace('"?"', '"blue"')
    assert swapped != told
    (other / TOKENIZER).write_text(swapped)
    with pytest.raises(ConfigError, match="it learned other words"):
        weaker_guide(run, Run.open(other), 2.0)
    trained(data, tmp_path / "untold", 1, None, "conditions={}", "sampling.guidance=1")
    with pytest.raises(ConfigError, match=r"its conditions is \{\}"):
        weaker_guide(run, Run.open(tmp_path / "untold"), 2.0)


def test_a_grid_is_fitted_on_the_walk_that_words_guide(run: Run) -> None:
    """Were captions hidden, a weight would lead from the unconditional walk to itself, and change nothing."""
    wish = {"sampler": "unipc", "steps": 3}
    weighed = {"text": 30.0}
    free, guided, named = (
        fit_run_grid(run, 2, 0, None, 3, **wish, guidance=weight) for weight in (1.0, 30.0, weighed)
    )
    # After 30 steps words say little, so the weight is large, and bf16's rounding times it is under 0.1 %.
    assert abs(guided.default_error - free.default_error) > 0.02 * free.default_error
    assert guided.default_error == pytest.approx(named.default_error, rel=0.01)
    assert kept_grids(run.folder) == [free, guided, named]
    assert run.request(1, **wish, guidance=weighed, grid="fitted").options.grid == FittedGrid(named.at)
    command = r"--steps 4 --guidance text=30' fits one"
    with pytest.raises(ConfigError, match=f"unipc at 4 steps and guidance text 30: .*{command}"):
        run.request(1, sampler="unipc", steps=4, guidance=weighed, grid="fitted")


def test_weights_are_written_as_the_command_line_reads_them() -> None:
    several = {"text": 3.0, "label": 1.5}
    *_, written = arguments(complete("sampler", "unipc"), 4, several).split(" ")
    assert written == "text=3,label=1.5"
    assert weights_of(written) == several


def test_wrong_use_says_so(run: Run, data: Dataset, tmp_path: Path) -> None:
    digits = load_data("digits")
    with pytest.raises(ConfigError, match="knows no labels"):
        run.request(1, labels=["3"])
    text = '{"text":{"name":"text","vocabulary":9}}'
    config = configure(digits, settings=(f"conditions={text}",))
    with pytest.raises(DataError, match="no captions"):
        begin_training(config, digits, tmp_path / "x", Budget.parse("1steps"))
    with pytest.raises(ConfigError, match="condition to guide by"):
        run.request(1, prompts=["a red circle"], guidance={"label": 2.0})


def test_a_run_without_its_tokenizer_says_what_is_missing(run: Run, tmp_path: Path) -> None:
    for file in run.folder.iterdir():
        if file.is_file() and file.name != TOKENIZER:
            (tmp_path / file.name).write_bytes(file.read_bytes())
    with pytest.raises(RunError, match=r"tokenizer\.json is missing"):
        sfumato.open_run(tmp_path)
    (tmp_path / TOKENIZER).write_text("{}")
    with pytest.raises(RunError, match=r"tokenizer\.json"):
        sfumato.open_run(tmp_path)


def test_weights_are_read_or_refused() -> None:
    assert weights_of("3") == 3.0
    assert weights_of("text=3,label=1.5") == {"text": 3.0, "label": 1.5}
    for wrong in ("-1", "inf", "three", "text=-1", "text=1,text=2", "3,label=2", ""):
        with pytest.raises(ConfigError, match="number of at least 0"):
            weights_of(wrong)


def test_a_label_is_asked_for_only_where_nothing_else_is() -> None:
    words = TextReader(usual(PROMPTS).learn(PROMPTS))
    told = Conditions({"label": LabelReader(("cat", "dog")), "text": words}, frozenset())
    alone, spoken, named = (
        told.asked(wishes, 2)
        for wishes in (Wishes(), Wishes({"text": PROMPTS}), Wishes({"text": PROMPTS, "label": ["dog"]}))
    )
    assert alone is not None
    assert spoken is not None
    assert named is not None
    assert alone.values["label"].tolist() == [0, 1]
    assert alone.dropped["label"].tolist() == [False, False]
    assert spoken.dropped["label"].tolist() == [True, True]
    assert named.values["label"].tolist() == [1, 1]
    assert named.dropped["label"].tolist() == [False, False]
    # What later stages of a cascade are told: names, since another stage may number its classes otherwise.
    assert told.said(Wishes(), 3) == {"label": ("cat", "dog", "cat")}
    assert told.said(Wishes({"text": PROMPTS}), 3) == {"text": (PROMPTS[0], PROMPTS[1], PROMPTS[0])}

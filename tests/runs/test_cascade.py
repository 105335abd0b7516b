"""Cascades: stages in one folder, each told what the one before made."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import sfumato
from helpers import call, captioned_folder
from sfumato.app.cascading import train_as_wished
from sfumato.app.training import TrainingWish
from sfumato.data import load_data
from sfumato.data.dataset import Split
from sfumato.data.store import MemoryStore
from sfumato.errors import ConfigError, DataError, RunError
from sfumato.recipes import configure
from sfumato.recipes.cascade_plan import share_of
from sfumato.recipes.cascades import CASCADES
from sfumato.runs.cascade.cascade import Cascade
from sfumato.runs.cascade.config import read_cascade, write_cascade
from sfumato.runs.conditions.picture import averaged, luminance
from sfumato.runs.fitting import Training, refuse_taken
from sfumato.runs.opening import open_folder
from sfumato.runs.run import Run
from sfumato.train.budget import Budget
from sfumato.train.events import Event, Stepped
from sfumato.train.signals import StopRequest

SETTINGS = tuple(
    f"{stage}.{setting}"
    for stage in ("base", "upsampler")
    for setting in (
        "network.widths=[16]",
        "network.fold=2",
        "conditions.text.width=16",
        "training.batch=8",
        "training.learning_rate=0.003",
    )
)


def wish(source: Path | None, out: Path, **how: object) -> TrainingWish:
    said = {"recipe": "glide", "settings": SETTINGS, "budget": "20steps", "seed": None, "reading": {}} | how
    return TrainingWish(str(source) if source else None, out, **said)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return captioned_folder(tmp_path_factory.mktemp("data"), size=32)


@pytest.fixture(scope="module")
def cascade(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Cascade:
    folder = tmp_path_factory.mktemp("runs") / "cascade"
    train_as_wished(wish(source, folder), resume=False)
    return Cascade.open(folder)


def test_python_trains_what_the_command_line_trains(source: Path, cascade: Cascade, tmp_path: Path) -> None:
    heard: list[Event] = []
    out = tmp_path / "python"
    how = {"budget": "20steps", "settings": SETTINGS}
    made = sfumato.fit_cascade(load_data(str(source)), out, "glide", listeners=[heard.append], **how)  # type: ignore[arg-type]
    assert sum(isinstance(event, Stepped) for event in heard) == 20
    assert read_cascade(out) == read_cascade(cascade.folder)
    ours, theirs = (each.sample(2, prompts=["a red circle"]) for each in (made, cascade))
    assert np.array_equal(ours, theirs)
    with pytest.raises(RunError, match="holds a run already"):
        sfumato.fit_cascade(load_data(str(source)), out, "glide")


def test_python_refuses_before_anything_is_written(source: Path, tmp_path: Path) -> None:
    out, dataset = tmp_path / "python", load_data(str(source))
    with pytest.raises(ConfigError, match=r"'images'.*Choose from: .*glide"):
        sfumato.fit_cascade(dataset, out, "images")
    with pytest.raises(ConfigError, match="budget"):
        sfumato.fit_cascade(dataset, out, "glide", budget="")
    with pytest.raises(DataError, match="neither a file"):  # it has to be read again, for the smaller stage
        sfumato.fit_cascade(replace(dataset, source=str(tmp_path / "gone")), out, "glide")
    with pytest.raises(DataError, match=r"an array in memory.*save it as an \.npy"):
        sfumato.fit_cascade(replace(dataset, source="an array in memory"), out, "glide")
    assert not out.exists()


def test_each_stage_has_its_share_and_its_size(cascade: Cascade) -> None:
    assert [stage.done.steps for stage in cascade.stages] == [14, 6]
    assert [stage.config.data.shape for stage in cascade.stages] == [(3, 16, 16), (3, 32, 32)]
    assert (cascade.folder / "samples.png").is_file()


def test_a_picture_is_its_seed_s_and_walks_through_all_stages(cascade: Cascade) -> None:
    prompts = ["a red circle", "two blue squares"]
    pair = cascade.sample(2, prompts=prompts, seed=5)
    assert pair.shape == (2, 3, 32, 32)
    alone = cascade.sample(1, prompts=prompts[1:], seed=6)
    assert np.abs(alone[0].astype(int) - pair[1].astype(int)).max() <= 16  # rounding, through both stages
    request = cascade.request(2, prompts=prompts, seed=5)
    moments = list(cascade.walk(request, range(2)))
    assert [chunk.moment.index for chunk in moments] == list(range(request.options.steps + 1))
    assert all(chunk.state.shape == (2, 3, 32, 32) for chunk in moments)
    assert moments[-1].finished
    assert np.array_equal(moments[-1].state, pair)


def test_the_second_stage_is_told_the_first_one_s_pictures(cascade: Cascade) -> None:
    first = cascade.stages[0].sample(2, prompts=["a red circle"], seed=5)
    by_hand = cascade.stages[1].sample(
        2, prompts=["a red circle"], seed=5 + 2**40, conditions={"picture": list(first)}
    )
    assert np.array_equal(cascade.sample(2, prompts=["a red circle"], seed=5), by_hand)


def test_averaging_squares_is_exact() -> None:
    pictures = torch.arange(64, dtype=torch.uint8).reshape(1, 1, 8, 8)
    small = averaged(pictures, 4)
    assert float(small[0, 0, 0, 0]) == round((0 + 1 + 8 + 9) / 4)
    assert torch.equal(averaged(pictures, 8), pictures)


def test_a_stopped_cascade_goes_on_where_it_was(source: Path, cascade: Cascade, tmp_path: Path) -> None:
    folder = tmp_path / "half"
    train_as_wished(wish(source, folder), resume=False)
    for file in (folder / "upsampler").iterdir():
        file.unlink() if file.is_file() else None
    train_as_wished(wish(None, folder, recipe=None, settings=(), budget=None), resume=True)
    ours, theirs = Cascade.open(folder), cascade
    assert [stage.done.steps for stage in ours.stages] == [14, 6]
    again, before = (each.sample(1, prompts=["a red circle"]) for each in (ours, theirs))
    assert np.array_equal(again, before)


def test_what_is_interrupted_says_how_the_whole_goes_on(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, begin = tmp_path / "c", Training.events

    def interrupted(training: Training, stop: StopRequest) -> Iterator[Event]:
        for event in begin(training, stop):
            stop.name = "the test"
            yield event

    monkeypatch.setattr(Training, "events", interrupted)
    train_as_wished(wish(source, folder), resume=False)
    said = capsys.readouterr().err
    assert said.count("--resume") == 1
    assert "".join(said.split()).endswith("".join(f"sfumato train --resume --out {folder}".split()))
    assert not (folder / "upsampler").exists()


def test_wrong_use_says_so(source: Path, cascade: Cascade, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="holds a run already"):
        refuse_taken(cascade.folder)
    with pytest.raises(ConfigError, match="which stage it is for"):
        train_as_wished(wish(source, tmp_path / "x", settings=("training.batch=8",)), resume=False)
    with pytest.raises(ConfigError, match="16×16 pixels"):
        cascade.last.request(1, conditions={"picture": [np.zeros((3, 8, 8), np.uint8)]})
    with pytest.raises(ConfigError, match="has none to begin with"):
        cascade.last.request(1)
    with pytest.raises(ConfigError, match="not others larger"):
        cascade.stages[0].request(1, conditions={"picture": [np.zeros((3, 8, 8), np.uint8)]})
    with pytest.raises(ConfigError, match="square pictures"):
        train_as_wished(wish(Path("moons"), tmp_path / "y", settings=()), resume=False)


def test_shares_of_a_budget_are_whole_where_they_must_be(cascade: Cascade) -> None:
    base, upsampler = CASCADES["glide"]
    plan = read_cascade(cascade.folder)
    assert share_of(plan.model_copy(update={"budget": "10steps"}), base) == Budget.parse("7steps")
    assert share_of(plan.model_copy(update={"budget": "100s"}), upsampler).amount == pytest.approx(30.0)


def picture_of(path: Path, size: tuple[int, int], mode: str = "RGB") -> Path:
    Image.new(mode, size, "white").save(path)
    return path


def test_a_picture_is_made_larger_by_the_second_stage(cascade: Cascade, tmp_path: Path, capsys) -> None:  # type: ignore[no-untyped-def]
    small, out = picture_of(tmp_path / "small.png", (16, 16)), tmp_path / "large"
    for folder in (cascade.folder, cascade.folder / "upsampler"):
        assert call("upscale", folder, small, "--prompt", "a red circle", "--out", out) == 0
        (made,) = out.glob("*.png")
        assert Image.open(made).size == (32, 32)
        shutil.rmtree(out)
    assert call("upscale", cascade.folder, picture_of(tmp_path / "other.png", (20, 20))) == 2
    assert "20×20 pixels" in capsys.readouterr().err
    assert call("upscale", cascade.folder, tmp_path / "none.png") == 2
    assert "there is no picture" in capsys.readouterr().err
    assert call("upscale", cascade.folder / "base", small) == 2
    assert "pictures of its own" in " ".join(capsys.readouterr().err.split())


def test_what_is_kept_of_a_picture_is_kept_by_every_stage(cascade: Cascade, tmp_path: Path) -> None:
    picture = picture_of(tmp_path / "picture.png", (32, 32))
    mask = Image.new("L", (32, 32), 0)
    mask.paste(255, (0, 0, 32, 16))  # the upper half is kept
    mask.save(tmp_path / "mask.png")
    out = tmp_path / "inpainted"
    words = ["-n", "1", "--prompt", "a red circle", "--out", out]
    assert call("inpaint", cascade.folder, picture, tmp_path / "mask.png", *words) == 0
    (made,) = out.glob("*.png")
    pixels = np.asarray(Image.open(made))
    assert bool((pixels[:16] == 255).all())
    assert not bool((pixels[16:] == 255).all())


def test_colours_are_made_up_and_grey_is_luminance(source: Path, tmp_path: Path) -> None:
    red, grey = torch.zeros(1, 3, 2, 2, dtype=torch.uint8), torch.full((1, 3, 2, 2), 90, dtype=torch.uint8)
    red[:, 0] = 255
    assert luminance(red).flatten().tolist() == [76] * 4  # 0.299 of 255, as Pillow has it
    assert luminance(grey).flatten().tolist() == [90] * 4
    small = ("network.widths=[16]", "network.fold=2", "training.batch=8", "training.learning_rate=0.003")
    settings = [word for setting in small for word in ("--set", setting)]
    run, out = tmp_path / "colours", tmp_path / "coloured"
    words = ["train", source, "--recipe", "colouriser", "--budget", "10steps", "--out", run]
    assert call(*words, *settings) == 0
    assert call("colourise", run, picture_of(tmp_path / "grey.png", (32, 32), "L"), "--out", out) == 0
    (made,) = out.glob("*.png")
    assert Image.open(made).mode == "RGB"
    assert call("upscale", run, tmp_path / "grey.png") == 2


def test_captions_of_unknown_words_stop_no_stage(cascade: Cascade) -> None:
    """A held-out caption may have none of the words of training; a person is told so, a report goes on."""
    picture = torch.zeros(1, 3, 16, 16, dtype=torch.uint8)
    like = Split(MemoryStore(picture), None, ("volcano",))
    request = cascade.request(2, like=like)
    assert request.prompts == ("volcano", "volcano")
    assert list(cascade.walk(request, range(2)))[-1].state.shape == (2, 3, 32, 32)
    with pytest.raises(ConfigError, match="knows no word of 'volcano'"):
        cascade.request(2, prompts=["volcano"])


def again(cascade: Cascade, **how: object) -> TrainingWish:
    """Ask for no more than to go on."""
    said = {"recipe": None, "settings": (), "budget": None} | how
    return wish(said.pop("source", None), cascade.folder, **said)  # type: ignore[arg-type]


def test_what_cannot_be_is_refused_before_anything_is_written(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "new"
    with pytest.raises(ConfigError, match=r"stage 'upsampler'.*multiples of 16"):
        train_as_wished(wish(source, out, reading={"size": 24}), resume=False)
    for setting in (
        "upsampler.network.nonsense=1",
        "base.sampling.sampler=nonsense",
        "base.network.widths=[]",
    ):
        with pytest.raises(ConfigError, match=f"stage '{setting.split('.')[0]}'"):
            train_as_wished(wish(source, out, settings=(setting,)), resume=False)
    with pytest.raises(ConfigError, match=r"stage 'clip'.*with captions"):
        train_as_wished(wish(Path("digits"), out, recipe="dalle", settings=(), reading={"size": 16}), False)
    assert not out.exists()


def test_what_is_said_again_must_be_what_was_said(source: Path, cascade: Cascade) -> None:
    same = again(cascade, source=source, recipe="glide", settings=SETTINGS[:2], seed=0, reading={"size": 32})
    with pytest.raises(ConfigError, match=r"has used its budget \(20steps for all stages\)"):
        train_as_wished(same, resume=True)  # all that is said is as it was
    for said, difference in (
        ({"settings": ("base.training.batch=9",)}, "base.training.batch = 8, not 9"),
        ({"seed": 1}, "seed = 0, not 1"),
        ({"reading": {"size": 16}}, "size = 32, not 16"),
        ({"recipe": "dalle"}, "recipe = glide, not dalle"),
    ):
        with pytest.raises(RunError, match=difference):
            train_as_wished(again(cascade, **said), resume=True)
    with pytest.raises(ConfigError, match="without --latent"):
        train_as_wished(replace(again(cascade), latent=cascade.folder), resume=True)


def test_a_seed_is_its_own_and_not_that_of_the_reading(
    source: Path, cascade: Cascade, tmp_path: Path
) -> None:
    folder = tmp_path / "seeded"
    shutil.copytree(cascade.folder, folder)
    write_cascade(folder, read_cascade(folder).model_copy(update={"seed": 5}))
    begun = replace(again(cascade, source=source, recipe="glide", seed=5), out=folder)
    with pytest.raises(ConfigError, match="has used its budget"):
        train_as_wished(begun, resume=True)
    with pytest.raises(RunError, match="seed = 5, not 0"):
        train_as_wished(replace(begun, seed=0), resume=True)


def test_a_new_budget_is_kept_and_other_data_is_not_taken(
    source: Path, cascade: Cascade, tmp_path: Path
) -> None:
    folder = tmp_path / "longer"
    shutil.copytree(cascade.folder, folder)
    longer = replace(again(cascade, budget="30steps"), out=folder)
    other = tmp_path / "other"
    other.mkdir()
    captioned_folder(other, count=20, size=32)
    with pytest.raises(RunError, match="is not what"):
        train_as_wished(replace(longer, source=str(other)), resume=True)
    train_as_wished(longer, resume=True)
    assert read_cascade(folder).budget == "30steps"
    assert [stage.done.steps for stage in Cascade.open(folder).stages] == [21, 9]


def test_it_is_trained_in_one_process(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ConfigError, match="one process"):
        train_as_wished(wish(source, tmp_path / "x"), resume=False)


def test_opening_says_what_a_folder_holds(cascade: Cascade, tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"several models.*base, .*upsampler"):
        Run.open(cascade.folder)
    write_cascade(tmp_path, read_cascade(cascade.folder))
    with pytest.raises(RunError, match=r"no 'base' yet.*--resume --out"):
        open_folder(tmp_path)


def test_a_run_is_not_made_by_a_recipe_of_several(source: Path) -> None:
    with pytest.raises(ConfigError, match="'glide' is several models"):
        configure(load_data(str(source)), "glide")

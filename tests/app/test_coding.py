"""Codes on their way: from data to a file and back, between two examples, and what is refused."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from helpers import TINY, call, digits
from sfumato.api import interpolate
from sfumato.app.codes import Codes
from sfumato.app.encoding import decode_to, encode_to
from sfumato.app.interpolating import interpolate_to
from sfumato.app.reconstructing import errors, reconstruct_to
from sfumato.errors import ConfigError, DataError
from sfumato.runs.rebuilding import rebuilt
from sfumato.runs.run import Run

SMALL = ("--set=family.latent=16", "--set=training.batch=64", "--budget", "20steps")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder as the command line makes it."""
    folder = tmp_path_factory.mktemp("coding") / "run"
    assert call("train", "digits", "--recipe", "linear-autoencoder", "--out", folder, *SMALL) == 0
    return folder


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Run:
    """The same run, in a folder of its own."""
    return Run.open(shutil.copytree(trained, tmp_path / "run"))


def whole() -> tuple[np.ndarray, np.ndarray]:
    """All digits and their labels, those to train on first."""
    parts = [split.batch(torch.arange(len(split))) for split in (digits().train, digits().held_out)]
    return tuple(np.concatenate([part[place].numpy() for part in parts]) for place in (0, 1))  # type: ignore


def test_all_data_is_encoded_with_what_belongs_to_it(run: Run, tmp_path: Path) -> None:
    encode_to(run, None, tmp_path / "codes.npz")
    found, (examples, labels) = Codes.load(tmp_path / "codes.npz"), whole()
    assert np.array_equal(found.labels, labels)  # type: ignore[arg-type]
    assert found.held_out is not None
    assert found.held_out.tolist() == [False] * 1617 + [True] * 180
    # Encoded in parts or at once: rounding of float32 products in another order.
    assert np.allclose(found.values, run.encode(examples), atol=1e-5)


def test_what_was_encoded_is_decoded_to_every_kind_of_file(run: Run, tmp_path: Path) -> None:
    encode_to(run, None, tmp_path / "codes.npz")
    decode_to(run, tmp_path / "codes.npz", tmp_path / "all.npz")
    examples, labels = whole()
    with np.load(tmp_path / "all.npz", allow_pickle=False) as arrays:
        assert np.array_equal(arrays["images"], run.decode(run.encode(examples))[:, 0])
        assert np.array_equal(arrays["labels"], labels)
    np.save(tmp_path / "some.npy", run.encode(examples[:7]))
    decode_to(run, tmp_path / "some.npy", tmp_path / "folder")
    decode_to(run, tmp_path / "some.npy", tmp_path / "some.png")
    assert len(list((tmp_path / "folder").iterdir())) == 7
    assert Image.open(tmp_path / "some.png").size[0] > 3 * 64


def test_other_pictures_are_brought_to_the_run_s_size(run: Run, tmp_path: Path) -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (10, 20, 30, 3), dtype=np.uint8)
    np.save(tmp_path / "colour.npy", pictures)
    encode_to(run, str(tmp_path / "colour.npy"), tmp_path / "codes.npz")
    assert Codes.load(tmp_path / "codes.npz").values.shape == (10, 16)


def test_vectors_do_not_fit_a_run_of_pictures(run: Run, tmp_path: Path) -> None:
    np.save(tmp_path / "vectors.npy", np.zeros((10, 64), np.float32))
    with pytest.raises(ConfigError, match="pictures"):
        encode_to(run, str(tmp_path / "vectors.npy"), tmp_path / "codes.npz")


def test_codes_are_decoded_by_the_weights_that_made_them_alone(run: Run, tmp_path: Path) -> None:
    encode_to(run, None, tmp_path / "codes.npz")
    moved = Run.open(run.folder.rename(tmp_path / "moved"))
    decode_to(moved, tmp_path / "codes.npz", tmp_path / "x.png")  # it is still the same run
    assert call("train", "--resume", "--out", moved.folder, "--budget", "22steps") == 0
    with pytest.raises(ConfigError, match=r"codes of .*run, which mean nothing to .*moved"):
        decode_to(Run.open(moved.folder), tmp_path / "codes.npz", tmp_path / "y.png")
    later = Run.open(moved.folder.rename(run.folder))
    with pytest.raises(ConfigError, match="trained further"):
        decode_to(later, tmp_path / "codes.npz", tmp_path / "y.png")
    assert not (tmp_path / "y.png").exists()


def test_another_average_has_other_codes(run: Run, tmp_path: Path) -> None:
    encode_to(run, None, tmp_path / "codes.npz")
    other = "long" if run.average != "long" else "short"
    with pytest.raises(ConfigError, match="another average"):
        decode_to(Run.open(run.folder, average=other), tmp_path / "codes.npz", tmp_path / "y.png")


def test_what_is_no_file_of_codes_is_refused(run: Run, tmp_path: Path) -> None:
    np.savez(tmp_path / "images.npz", images=np.zeros((3, 8, 8), np.uint8))
    np.save(tmp_path / "broken.npy", np.full((3, 16), np.nan))
    np.save(tmp_path / "objects.npy", np.array([{}, {}]), allow_pickle=True)
    np.save(tmp_path / "short.npy", np.zeros((3, 15), np.float32))
    (tmp_path / "text.npz").write_text("no archive")
    for name, words in {
        "missing.npz": "no file",
        "images.npz": "holds images",
        "broken.npy": "finite numbers",
        "objects.npy": "cannot be read",
        "text.npz": "cannot be read",
        "short.npy": r"\(15,\)",
    }.items():
        with pytest.raises((DataError, ConfigError), match=words):
            decode_to(run, tmp_path / name, tmp_path / "folder")
    fine = np.zeros((3, 16), np.float32)
    for labels in (np.array(["a", "b", "c"]), np.array([0, 1]), np.array([0.5, 1, 2]), np.array([0, 1, -1])):
        np.savez(tmp_path / "labelled.npz", codes=fine, labels=labels)
        with pytest.raises(DataError, match="class number"):
            decode_to(run, tmp_path / "labelled.npz", tmp_path / "folder")
    np.save(tmp_path / "fine.npy", fine)
    with pytest.raises(ConfigError, match="no film"):
        decode_to(run, tmp_path / "fine.npy", tmp_path / "x.gif")
    with pytest.raises(ConfigError, match=r"\.npz"):
        encode_to(run, None, tmp_path / "codes.png")
    assert not (tmp_path / "x.gif").exists()


def test_a_model_without_codes_says_so(tmp_path: Path) -> None:
    folder = tmp_path / "diffusion"
    settings = [f"--set={setting}" for setting in TINY]
    assert call("train", "digits", "--out", folder, "--budget", "2steps", *settings) == 0
    generator = Run.open(folder)
    for verb in (
        lambda: encode_to(generator, None, tmp_path / "codes.npz"),
        lambda: decode_to(generator, tmp_path / "codes.npz", tmp_path / "x.png"),
        lambda: reconstruct_to(generator, None, 10, 5, tmp_path / "x.png"),
        lambda: interpolate_to(generator, ("0", "1"), 5, tmp_path / "x.png"),
    ):
        with pytest.raises(ConfigError, match=r"diffusion model.* has no codes.*--recipe autoencoder"):
            verb()
    with pytest.raises(ConfigError, match="no codes"):
        interpolate(generator, *whole()[0][:2])


def test_reconstructions_are_drawn_and_measured(run: Run, tmp_path: Path, capsys: Any) -> None:
    reconstruct_to(run, None, 100, 20, tmp_path / "pairs.png")
    said = capsys.readouterr().out
    assert "peak ratio (dB)" in said
    assert "100" in said
    # Two rows of ten pairs each.
    assert Image.open(tmp_path / "pairs.png").size[0] > 600


def test_of_a_masked_autoencoder_what_it_was_shown_is_drawn_and_only_the_rest_is_rebuilt(
    tmp_path: Path, capsys: Any
) -> None:
    folder, words = tmp_path / "masked", ("--set=family.width=16", "--budget=2steps")
    assert call("train", "digits", "--recipe", "masked-autoencoder", "--out", folder, *words) == 0
    opened, x = Run.open(folder), torch.from_numpy(whole()[0][:300])
    shown, made = rebuilt(opened, x)
    seen = shown != 128
    assert np.array_equal(shown[seen], x.numpy()[seen])
    assert np.array_equal(made[seen], x.numpy()[seen])
    # Half of the patches are grey, and few other pixels.
    assert 0.4 < float((shown == 128).mean()) < 0.55
    assert 0.3 < float((made != x.numpy()).mean()) < 0.5
    again = rebuilt(opened, x)
    assert all(np.array_equal(one, other) for one, other in zip((shown, made), again, strict=True))
    assert call("reconstruct", folder) == 0
    assert "what the encoder was shown of it" in " ".join(capsys.readouterr().out.split())
    assert "what the encoder was shown of it" in (folder / "report.html").read_text()


def test_what_is_shown_whole_is_rebuilt_behind_its_code(run: Run) -> None:
    x = torch.from_numpy(whole()[0][:20])
    shown, made = rebuilt(run, x)
    assert np.array_equal(shown, x.numpy())
    # Codes are told in the precision of the run, which may move a value across half a level.
    assert np.abs(made.astype(int) - run.decode(run.encode(x)).astype(int)).max() <= 1


def test_the_error_is_a_mean_square_of_a_range_of_one() -> None:
    black = np.zeros((4, 1, 8, 8), np.uint8)
    table = dict(errors(black, np.full_like(black, 51)))
    assert table["squared error (range 1)"] == "0.04000"
    assert table["error of a pixel (of 255)"] == "51.0"
    assert float(table["peak ratio (dB)"]) == pytest.approx(-10 * np.log10(0.04), abs=0.05)
    assert dict(errors(black, black))["peak ratio (dB)"] == "58.9"
    assert dict(errors(np.zeros((5, 2)), np.ones((5, 2))))["squared error"] == "1"


@pytest.mark.parametrize("way", ["latent", "spherical", "pixels"])
def test_a_way_begins_and_ends_where_it_should(run: Run, way: str) -> None:
    a, b = whole()[0][:2]
    path = interpolate(run, a, b, steps=7, way=way)
    assert path.shape == (7, 1, 8, 8)
    assert path.dtype == np.uint8
    ends = np.stack([a, b]) if way == "pixels" else run.decode(run.encode(np.stack([a, b])))
    assert np.array_equal(path[[0, -1]], ends)


def test_the_middle_of_the_pixels_is_their_mean_and_of_the_codes_is_decoded(run: Run) -> None:
    a, b = whole()[0][:2]
    mean = (a.astype(float) + b.astype(float)) / 2
    assert np.abs(interpolate(run, a, b, 3, "pixels")[1] - mean).max() <= 0.5  # rounding to bytes
    codes = run.encode(np.stack([a, b]))
    assert np.array_equal(interpolate(run, a, b, 3)[1], run.decode(codes.mean(0, keepdims=True))[0])


def test_an_unknown_way_is_refused(run: Run) -> None:
    with pytest.raises(ConfigError, match="latent, pixels, spherical"):
        interpolate(run, *whole()[0][:2], way="sphere")


def test_ways_are_drawn_from_numbers_and_from_pictures(run: Run, tmp_path: Path) -> None:
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)).save(
        tmp_path / "a.jpg"
    )
    interpolate_to(run, (str(tmp_path / "a.jpg"), "1700"), 5, tmp_path / "path.png")
    interpolate_to(run, ("0", "1"), 5, tmp_path / "path.gif")
    width, height = Image.open(tmp_path / "path.png").size
    assert width > 5 * 64
    assert height > 3 * 64
    assert Image.open(tmp_path / "path.gif").n_frames == 5  # type: ignore[attr-defined]


@pytest.mark.parametrize("end", ["1797", "-1", "nothing.png"])
def test_ends_that_are_none_are_refused(run: Run, end: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="a number from 0 to 1796"):
        interpolate_to(run, ("0", end), 5, tmp_path / "path.png")


def test_a_file_that_is_no_picture_is_refused(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("no picture")
    with pytest.raises(DataError, match="no picture that can be read"):
        interpolate_to(run, (str(tmp_path / "a.png"), "1"), 5, tmp_path / "path.png")


def test_the_verbs_work_on_a_run_that_was_trained(trained: Path, tmp_path: Path) -> None:
    codes = tmp_path / "codes.npz"
    assert call("encode", trained, "--out", codes) == 0
    assert Codes.load(codes).values.shape == (1797, 16)
    assert call("decode", trained, codes, "--out", tmp_path / "decoded.npz") == 0
    with np.load(tmp_path / "decoded.npz", allow_pickle=False) as arrays:
        assert arrays["images"].shape == (1797, 8, 8)
    assert call("reconstruct", trained, "digits", "-n", "50") == 0
    assert call("interpolate", trained, "0", "1796", "--steps", "5") == 0
    assert {"reconstructions.png", "path.png"} <= {path.name for path in trained.iterdir()}


def test_codes_of_another_seed_are_another_run_s(trained: Path, tmp_path: Path, capsys: Any) -> None:
    other = tmp_path / "other"
    words = ("train", "digits", "--recipe", "linear-autoencoder", "--out", other, "--seed", "1", *SMALL)
    assert call(*words) == 0
    assert call("encode", trained, "--out", tmp_path / "codes.npz") == 0
    capsys.readouterr()
    assert call("decode", other, tmp_path / "codes.npz", "--out", tmp_path / "x.png") == 2
    assert "mean nothing to" in " ".join(capsys.readouterr().err.split())


def test_options_of_a_family_are_set_on_the_command_line(tmp_path: Path) -> None:
    options = ("family.latent=[2,4,4]", "family.noise=[0.1,1]", "family.width=16", "training.batch=16")
    words = [f"--set={option}" for option in options]
    recipe = ("--recipe", "denoising-autoencoder", "--budget", "2steps")
    assert call("train", "digits", "--out", tmp_path / "run", *recipe, *words) == 0
    assert Run.open(tmp_path / "run").encode(whole()[0][:3]).shape == (3, 2, 4, 4)


def test_points_are_walked_between_too(tmp_path: Path) -> None:
    folder = tmp_path / "moons"
    words = (
        "--recipe",
        "autoencoder",
        "--set=family.latent=1",
        "--set=family.width=16",
        "--budget",
        "20steps",
    )
    assert call("train", "moons", "--out", folder, *words) == 0
    assert call("interpolate", folder, "0", "1") == 0
    assert call("interpolate", folder, "0", "1", "--out", tmp_path / "path.gif") == 0
    assert call("reconstruct", folder) == 0
    assert Image.open(folder / "path.png").size == Image.open(folder / "reconstructions.png").size


def test_codes_are_scored_beside_those_of_no_training(
    trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("evaluate", trained, "-n", 50, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told == json.loads((trained / "scores.json").read_text())
    shares = {name: float(value.split("%")[0]) for name, value in told.items() if "read off" in name}
    assert set(shares) == {
        "read off the codes by a line",
        "read off untrained codes",
        "read off the values themselves",
    }
    # Sixteen numbers of a digit tell it far better than the one in ten of chance.
    assert min(shares.values()) > 60
    assert told["examples"] == "50"
    assert "read off untrained codes" in (trained / "report.html").read_text()


def test_options_of_sampling_are_refused_where_nothing_is_sampled(
    trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("evaluate", trained, "--steps", 3) == 2
    assert "samples nothing" in capsys.readouterr().err
    assert call("sample", trained) == 2
    assert "sfumato train DATA --latent" in " ".join(capsys.readouterr().err.split())


def test_a_latent_run_is_made_resumed_and_keeps_its_autoencoder(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "latent"
    assert call("train", "digits", "--latent", trained, "--out", folder, "--budget", "3steps") == 0
    shutil.move(trained, tmp_path / "gone")
    try:
        again = ("train", "--resume", "--out", folder, "--budget", "5steps")
        assert call(*again, "--latent", trained) == 2
        assert "without --latent" in capsys.readouterr().err
        assert call(*again) == 0
        assert Run.open(folder).done.steps == 5
        assert call("sample", folder, "-n", 4, "--out", tmp_path / "four.png") == 0
        assert call("likelihood", folder) == 2
    finally:
        shutil.move(tmp_path / "gone", trained)

"""Built-in sets, settings, splits, and what is said about a data set."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from sfumato.data import BUILT_IN, load_data
from sfumato.data.summary import describe
from sfumato.errors import ConfigError, DataError

TOYS = sorted(set(BUILT_IN) - {"digits", "scenes"})


def test_digits():
    data = load_data("digits")
    images, labels = data.train.batch(torch.arange(len(data.train)))
    assert data.shape == (1, 8, 8)
    assert len(data.train) + len(data.held_out) == 1797
    assert data.classes == tuple("0123456789")
    assert images.min() == 0
    assert images.max() == 255
    assert len(images.unique()) == 17
    assert labels.dtype == torch.int64


@pytest.mark.parametrize("name", TOYS)
def test_toys_are_of_unit_scale_and_follow_the_seed(name):
    data, again, other = (load_data(name, seed=seed) for seed in (0, 0, 1))
    points, _ = data.train.batch(torch.arange(len(data.train)))
    assert points.dtype == torch.float32
    assert len(data.train) + len(data.held_out) == 20_000
    assert 0.4 < points.std(0).min() <= points.std(0).max() < 1.6
    assert points.mean(0).abs().max() < 0.4
    assert data.content_hash == again.content_hash != other.content_hash


def test_labels_of_the_ring_are_its_places():
    data = load_data("ring", held_out=0)
    points, labels = data.train.batch(torch.arange(len(data.train)))
    for place in range(8):
        angle = torch.tensor(place * torch.pi / 4)
        centre = 2**0.5 * torch.stack([angle.cos(), angle.sin()])
        assert torch.allclose(points[labels == place].mean(0), centre, atol=0.02)
        assert torch.allclose(points[labels == place].std(0), torch.tensor(0.1), atol=0.01)


def test_the_board_leaves_half_its_cells_empty():
    data = load_data("checkerboard", held_out=0)
    cells = data.train.batch(torch.arange(len(data.train)))[0].floor().long()
    assert torch.all(cells.sum(1) % 2 == 0)
    assert len(cells.unique(dim=0)) == 8
    assert cells.aminmax() == (-2, 1)


def test_the_arms_of_the_spiral_are_half_a_turn_apart():
    data = load_data("spiral", held_out=0)
    points, labels = data.train.batch(torch.arange(len(data.train)))
    sign = 1 - 2 * labels[:, None]
    radius = points.norm(dim=1)
    far = radius > 0.5
    turned = torch.stack([(1.5 * torch.pi * radius).cos(), (1.5 * torch.pi * radius).sin()], 1) * sign
    agreement = (points / radius[:, None] * turned).sum(1)[far]
    assert agreement.mean() > 0.97


@pytest.mark.parametrize(("share", "held"), [(0, 0), (0.001, 1), (0.1, 2), (0.5, 10), (0.99, 19)])
def test_shares_are_disjoint_and_complete(share, held):
    array = np.arange(40.0).reshape(20, 2)
    data, again = load_data(array, held_out=share), load_data(array, held_out=share)
    rows = [split.batch(torch.arange(len(split)))[0][:, 0] for split in (data.train, data.held_out)]
    assert len(data.held_out) == held
    assert torch.cat(rows).sort().values.tolist() == array[:, 0].tolist()
    assert data.content_hash == again.content_hash
    if held > 1:
        assert load_data(array, held_out=share, seed=1).content_hash != data.content_hash


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"size": 7}, "at least 8"),
        ({"channels": 2}, "1 for grey or 3"),
        ({"background": "glass"}, "glass"),
        ({"held_out": 1.0}, "held-out share is 1.0"),
        ({"held_out": -0.1}, "held-out"),
        ({"held_out": float("nan")}, "held-out"),
    ],
)
def test_settings_out_of_range(settings, message):
    with pytest.raises(ConfigError, match=message):
        load_data("digits", **settings)


@pytest.mark.parametrize("settings", [{"size": 16}, {"channels": 1}])
def test_vectors_have_no_size(settings):
    with pytest.raises(ConfigError, match="vectors"):
        load_data("ring", **settings)


def test_unknown_names_list_the_built_in_ones():
    with pytest.raises(DataError, match=r"neither a file.*Did you mean 'spiral'.*digits, scenes, moons"):
        load_data("spirals")
    for missing in (Path("ring"), "", "a\0b", "a" * 5000):
        with pytest.raises(DataError, match="neither a file"):
            load_data(missing)


def test_a_file_of_a_built_in_name_can_be_asked_for(tmp_path, monkeypatch, picture):
    monkeypatch.chdir(tmp_path)
    for seed in range(3):
        picture(Path("ring") / f"{seed}.png", seed)
    assert load_data("ring").shape == (2,)
    assert load_data("./ring").shape == load_data(Path("ring")).shape == (3, 12, 12)


def test_summary_counts_and_serialises(tmp_path, picture):
    for seed in range(5):
        picture(tmp_path / "set" / ("a" if seed < 3 else "b") / f"{seed}.png", seed)
    (tmp_path / "set" / "a" / "bad.png").touch()
    summary = describe(load_data(tmp_path / "set", held_out=0))
    assert json.loads(json.dumps(summary)) == summary
    assert summary["classes"] == {"a": {"train": 3, "held_out": 0}, "b": {"train": 2, "held_out": 0}}
    assert summary["bytes"] == 5 * 3 * 12 * 12
    assert [item["name"] for item in summary["skipped"]] == ["a/bad.png"]
    assert describe(load_data("checkerboard"))["classes"] == {}


def test_importing_the_package_alone_loads_nothing_heavy():
    code = "import sys, sfumato.data; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.skipif("SFUMATO_DATA" not in os.environ, reason="SFUMATO_DATA names no folder of real data")
def test_real_sets():
    folder = Path(os.environ["SFUMATO_DATA"])
    mnist, emoji = load_data(folder / "mnist.npz"), load_data(folder / "emoji.tar")
    assert (mnist.shape, len(mnist.train), len(mnist.held_out)) == ((1, 28, 28), 60_000, 10_000)
    assert (emoji.shape, len(emoji.train) + len(emoji.held_out)) == ((3, 32, 32), 3545)
    assert emoji.train.captions is not None
    assert emoji.skipped == ()

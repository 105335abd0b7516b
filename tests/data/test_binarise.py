"""Black and white by a stated seed: the right probabilities, static, its own for every seed and split."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sfumato.data import Dataset, load_data
from sfumato.data.binarise import binarised
from sfumato.errors import ConfigError


def grey(value: int, count: int = 400) -> Dataset:
    return load_data(np.full((count, 8, 8), value, np.uint8), held_out=0.25)


def everything(dataset: Dataset) -> torch.Tensor:
    return torch.cat([s.store.take(torch.arange(len(s))) for s in (dataset.train, dataset.held_out)])


@pytest.mark.parametrize("value", [0, 51, 128, 255])
def test_a_pixel_is_white_with_its_value_s_probability(value: int) -> None:
    """25,600 pixels: five standard errors of a share are at most 0.016."""
    drawn = everything(binarised(grey(value), seed=1))
    assert set(drawn.unique().tolist()) <= {0, 255}
    assert float((drawn == 255).double().mean()) == pytest.approx(value / 255, abs=0.016 * (0 < value < 255))


def test_the_draw_is_static_and_belongs_to_the_seed() -> None:
    dataset = load_data("digits")
    first, again, other = (binarised(dataset, seed) for seed in (3, 3, 4))
    assert first.content_hash == again.content_hash != other.content_hash
    assert torch.equal(first.train.labels, dataset.train.labels)
    taken = first.train.store.take(torch.tensor([5, 5]))
    assert torch.equal(taken[0], taken[1])


def test_what_reads_it_again_reads_the_same() -> None:
    for drawn in (load_data("digits", seed=5, binarise=True), binarised(load_data("digits", seed=5), 5)):
        again = load_data(drawn.source, **drawn.reading)
        assert again.content_hash == drawn.content_hash != load_data("digits", seed=5).content_hash
        assert again.reading == drawn.reading


def test_splits_do_not_share_their_draws() -> None:
    drawn = binarised(grey(128, 200), seed=0)
    some = torch.arange(40)
    assert not torch.equal(drawn.train.store.take(some), drawn.held_out.store.take(some))


def test_pictures_that_do_not_fit_into_memory_stay_grey(tmp_path: Path) -> None:
    for place in range(4):
        Image.fromarray(np.full((8, 8), 60 * place, np.uint8)).save(tmp_path / f"{place}.png")
    with pytest.raises(ConfigError, match="do not fit into memory"):
        load_data(tmp_path, memory_limit=1, binarise=True)


def test_only_grey_pictures_become_black_and_white() -> None:
    for dataset in (load_data("moons"), load_data(np.zeros((4, 8, 8, 3), np.uint8), channels=3)):
        with pytest.raises(ConfigError, match="only grey pictures"):
            binarised(dataset)

"""How examples meet a model: maps and their inverses."""

import pytest
import torch

from sfumato.data.scaling import Pixels, Standardise, standardise
from sfumato.data.store import MemoryStore
from sfumato.errors import ConfigError
from sfumato.randomness import generator


def test_every_byte_comes_back():
    levels = torch.arange(256).to(torch.uint8).reshape(1, 1, 16, 16)
    seen = Pixels().to_model(levels)
    assert seen.dtype == torch.float32
    assert (seen.min(), seen.max()) == Pixels.bounds
    assert torch.equal(Pixels().to_data(seen), levels)


def test_pixels_are_clipped_and_rounded_to_the_nearest():
    values = torch.tensor([-7.0, 7.0, 100.4 / 127.5 - 1, 100.6 / 127.5 - 1])
    assert Pixels().to_data(values).tolist() == [0, 255, 100, 101]


def test_standardised_vectors_have_mean_0_and_deviation_1_and_come_back():
    x = 1e4 + 3 * torch.randn(9000, 2, generator=generator(0, "test"))
    scaling = standardise(MemoryStore(x))
    seen = scaling.to_model(x)
    assert torch.allclose(seen.mean(0), torch.zeros(2), atol=1e-3)
    assert torch.allclose(seen.std(0), torch.ones(2), atol=1e-3)
    assert torch.allclose(scaling.to_data(seen), x)
    assert scaling.bounds is None


def test_a_constant_coordinate_is_only_moved():
    x = torch.tensor([[0.1, 1.0], [0.1, 3.0], [0.1, 2.0]])
    assert standardise(MemoryStore(x)).std[0] == 1
    assert standardise(MemoryStore(x)).to_model(x)[:, 0].tolist() == [0, 0, 0]


@pytest.mark.parametrize(("mean", "std"), [((0.0,), (1.0, 1.0)), ((0.0,), (0.0,)), ((0.0,), (float("nan"),))])
def test_impossible_scalings_are_refused(mean, std):
    with pytest.raises(ConfigError, match="positive"):
        Standardise(mean, std)

"""Modes: what a perfect generator, a collapsed one and a blurred one score."""

import math

import pytest
import torch

from sfumato.data import load_data
from sfumato.errors import DataError
from sfumato.metrics.modes import Modes, modes

CENTRES = torch.cartesian_prod(torch.arange(5.0), torch.arange(5.0))
STD = 0.05


def test_the_data_itself_covers_all_and_is_as_sharp_as_a_gaussian_can_be() -> None:
    data = load_data("grid", held_out=0)
    points, labels = data.train.batch(torch.arange(len(data.train)))
    found = modes(points, (CENTRES - 2) / math.sqrt(2), STD)
    assert (found.covered, found.of) == (25, 25)
    # 20,000 points: a standard deviation of 0.0007.
    assert found.sharp == pytest.approx(1 - math.exp(-4.5), abs=0.003)
    assert labels is not None
    assert torch.allclose(points[labels == 7].mean(0), torch.tensor([-1.0, 0.0]) / math.sqrt(2), atol=0.01)
    assert torch.allclose(points[labels == 7].std(0), torch.tensor(STD), atol=0.005)


def test_a_collapsed_generator_covers_what_it_makes() -> None:
    assert modes(CENTRES[:3].repeat(100, 1), CENTRES, STD) == Modes(3, 25, 1.0)


def test_a_blur_is_not_sharp() -> None:
    """Uniform samples over the cells of the modes are sharp as often as the discs fill these."""
    samples = 5 * torch.rand(100_000, 2, generator=torch.Generator().manual_seed(0)) - 0.5
    found = modes(samples, CENTRES, STD)
    assert found.sharp == pytest.approx(math.pi * (3 * STD) ** 2, abs=0.004)


def test_a_stray_sample_covers_no_mode() -> None:
    """A tenth of the fair share, 1000 / 25 / 10 = 4 samples, are needed."""
    strays = torch.cat([CENTRES[:1].repeat(993, 1), CENTRES[1:2].repeat(4, 1), CENTRES[2:3].repeat(3, 1)])
    assert modes(strays, CENTRES, STD).covered == 2


def test_the_edge_of_three_standard_deviations_counts() -> None:
    inside, outside = (torch.tensor([[reach * 3 * STD, 0.0]]) for reach in (0.999, 1.001))
    assert modes(inside, CENTRES, STD) == Modes(1, 25, 1.0)
    assert modes(outside, CENTRES, STD) == Modes(0, 25, 0.0)


def test_what_is_no_number_is_near_nothing() -> None:
    assert modes(torch.full((4, 2), math.nan), CENTRES, STD) == Modes(0, 25, 0.0)


def test_no_samples_are_refused() -> None:
    with pytest.raises(DataError, match="no samples"):
        modes(torch.zeros(0, 2), CENTRES, STD)

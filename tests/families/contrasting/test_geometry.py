"""How embeddings lie: closed forms, limits, and that a collapse is said and nothing else is."""

import math

import pytest
import torch
from torch import Tensor

from sfumato.families.contrasting.geometry import (
    RANK,
    UNIFORMITY,
    alignment,
    collapse,
    effective_rank,
    recognised,
    uniformity,
    unit,
)


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_alignment_of_equal_opposite_and_unrelated_views() -> None:
    u = unit(drawn(4000, 16))
    assert alignment(u, u) == 0
    assert alignment(u, -u) == pytest.approx(4, abs=1e-5)
    # 2 − 2·cosine, whose mean is 0 and whose deviation is 1/4 over 4,000 pairs: 0.5/sqrt(4000) = 0.008.
    assert alignment(u, unit(drawn(4000, 16, seed=1))) == pytest.approx(2, abs=0.03)


def test_uniformity_of_one_point_of_corners_and_of_the_circle() -> None:
    assert uniformity(unit(torch.ones(9, 3))) == pytest.approx(0, abs=1e-6)
    assert uniformity(torch.eye(6)) == pytest.approx(-4, abs=1e-5)  # all pairs at squared distance 2
    angle = torch.rand(3000, generator=torch.Generator().manual_seed(0)) * 2 * math.pi
    circle = torch.stack([angle.cos(), angle.sin()], 1)
    # E exp(−4·(1 − cos a)) over the circle is e^−4·I0(4); 3,000 points know it to about a percent.
    expected = math.log(math.exp(-4) * float(torch.special.i0(torch.tensor(4.0))))
    assert uniformity(circle) == pytest.approx(expected, abs=0.03)


def test_effective_rank_of_known_spectra() -> None:
    q, _ = torch.linalg.qr(drawn(64, 10) - drawn(64, 10).mean(0))
    basis = torch.linalg.qr(torch.cat([torch.ones(64, 1), q], 1))[0][:, 1:]  # centred, orthonormal columns
    assert effective_rank(basis[:, :7]) == pytest.approx(7, rel=1e-4)
    assert effective_rank(5 * basis[:, :7] + 3) == pytest.approx(7, rel=1e-4)
    spectrum = torch.tensor([4.0, 2.0, 1.0])  # standard deviations; shares of variance 16, 4, 1 of 21
    shares = spectrum.square() / spectrum.square().sum()
    expected = float(torch.exp(-(shares * shares.log()).sum()))
    assert effective_rank(basis[:, :3] * spectrum) == pytest.approx(expected, rel=1e-4)


def test_rounding_errors_of_a_single_point_are_no_directions() -> None:
    assert effective_rank(torch.full((50, 12), 0.3)) == 1
    point = drawn(1, 12).expand(50, -1) * (1 + 1e-7 * drawn(50, 12))
    assert effective_rank(point) == 1


def test_recognised_counts_right_answers_and_no_ties() -> None:
    similarities = torch.tensor([[0.9, 0.1, 0.3], [0.9, 0.1, 0.3], [0.5, 0.5, 0.5], [0.0, 0.2, 0.3]])
    assert recognised(similarities, torch.tensor([0, 1, 2, 2])) == 0.5


@pytest.mark.parametrize(
    ("measures", "words"),
    [
        ({UNIFORMITY: -0.001, RANK: 20.0}, "nearly the same embedding"),
        ({UNIFORMITY: -2.0, RANK: 1.2}, "effective rank 1.20"),
    ],
)
def test_a_collapse_is_said_with_its_number(measures: dict[str, float], words: str) -> None:
    said = collapse(measures)
    assert said is not None
    assert words in said
    assert "collapsed" in said


def test_what_has_not_collapsed_is_not_accused() -> None:
    assert collapse({UNIFORMITY: -2.5, RANK: 12.0}) is None
    assert collapse({UNIFORMITY: -1.0, RANK: 2.0}) is None  # codes of a plane fill the plane
    assert collapse({}) is None

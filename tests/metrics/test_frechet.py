"""The Fréchet distance: closed forms, symmetries, and zero where it should be."""

import pytest
import torch

from sfumato.errors import DataError
from sfumato.metrics import frechet_between, frechet_distance, gaussian
from sfumato.randomness import generator


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=generator(seed, "frechet test"), dtype=torch.float64)


def covariance(size, seed):
    root = normal(size, size, seed=seed)
    return root @ root.T


def test_one_dimension_has_its_closed_form():
    got = frechet_distance(
        torch.tensor([1.0]), torch.tensor([[4.0]]), torch.tensor([3.0]), torch.tensor([[0.25]])
    )
    assert got == pytest.approx((1 - 3) ** 2 + (2 - 0.5) ** 2)


def test_commuting_covariances_have_their_closed_form():
    turn = torch.linalg.qr(normal(6, 6))[0]
    values1, values2 = normal(6, seed=1).square(), normal(6, seed=2).square()
    mean1, mean2 = normal(6, seed=3), normal(6, seed=4)
    got = frechet_distance(mean1, turn * values1 @ turn.T, mean2, turn * values2 @ turn.T)
    expected = (mean1 - mean2).square().sum() + (values1.sqrt() - values2.sqrt()).square().sum()
    assert got == pytest.approx(float(expected), rel=1e-12)


def test_other_covariances_agree_with_scipys_matrix_root():
    linalg = pytest.importorskip("scipy.linalg")
    cov1, cov2, mean = covariance(5, 1), covariance(5, 2), torch.zeros(5)
    expected = float((cov1 + cov2).trace()) - 2 * linalg.sqrtm((cov1 @ cov2).numpy()).trace().real
    assert frechet_distance(mean, cov1, mean, cov2) == pytest.approx(expected, rel=1e-9)


def test_symmetric_and_unchanged_by_rotation():
    first, second = normal(50, 4, seed=1), 2 * normal(40, 4, seed=2) + 1
    turn = torch.linalg.qr(normal(4, 4))[0]
    distance = frechet_between(first, second)
    assert frechet_between(second, first) == pytest.approx(distance, rel=1e-12)
    assert frechet_between(first @ turn, second @ turn) == pytest.approx(distance, rel=1e-12)


@pytest.mark.parametrize("count", [200, 5])
def test_equal_sets_are_at_zero_even_with_fewer_rows_than_features(count):
    features = 100 * normal(count, 20)
    scale = float(gaussian(features)[1].trace())
    assert 0 <= frechet_between(features, features.clone()) < 1e-12 * scale


def test_fewer_samples_lie_further_off():
    few, many = normal(60, 16, seed=1), normal(2000, 16, seed=2)
    reference = normal(2000, 16, seed=3)
    assert frechet_between(few, reference) > 3 * frechet_between(many, reference)


def test_one_row_is_refused():
    with pytest.raises(DataError, match="at least 2"):
        gaussian(torch.zeros(1, 3))

"""The diagonal Gaussian, held against torch's own."""

import numpy as np
import pytest
import torch
from torch.distributions import Normal as Reference
from torch.distributions import kl_divergence

from sfumato.normal import Normal
from sfumato.randomness import generator


def drawn(*shape, seed=0):
    return torch.randn(shape, generator=generator(seed, "normal"), dtype=torch.float64)


MEAN, OTHER_MEAN = drawn(4, 2, 3), drawn(4, 2, 3, seed=1)
# A standard deviation for every entry, for every example, and one for all.
STDS = [drawn(*shape, seed=2).exp() for shape in ((4, 2, 3), (4, 1, 1), (1,), ())]
every_std = pytest.mark.parametrize("std", STDS, ids=lambda std: str(tuple(std.shape)))


@every_std
def test_log_prob_sums_over_all_but_the_batch(std):
    x = drawn(4, 2, 3, seed=3)
    truth = Reference(MEAN, std).log_prob(x).sum((1, 2))
    torch.testing.assert_close(Normal(MEAN, std).log_prob(x), truth, rtol=1e-12, atol=1e-12)


@every_std
def test_kl_sums_over_all_but_the_batch(std):
    other_std = drawn(4, 2, 3, seed=4).exp()
    truth = kl_divergence(Reference(MEAN, std), Reference(OTHER_MEAN, other_std)).sum((1, 2))
    found = Normal(MEAN, std).kl(Normal(OTHER_MEAN, other_std))
    torch.testing.assert_close(found, truth, rtol=1e-12, atol=1e-12)
    truth = kl_divergence(Reference(OTHER_MEAN, other_std), Reference(MEAN, std)).sum((1, 2))
    found = Normal(OTHER_MEAN, other_std).kl(Normal(MEAN, std))
    torch.testing.assert_close(found, truth, rtol=1e-12, atol=1e-12)


@every_std
def test_kl_of_equals_is_0_and_of_others_is_not(std):
    one = Normal(MEAN, std)
    assert one.kl(one).tolist() == [0.0] * 4
    assert float(one.kl(Normal(OTHER_MEAN, std)).min()) > 0


@every_std
def test_entropy_is_that_of_torch(std):
    truth = Reference(MEAN, std.expand_as(MEAN)).entropy().sum((1, 2))
    torch.testing.assert_close(Normal(MEAN, std).entropy(), truth, rtol=1e-12, atol=1e-12)


@every_std
def test_cross_entropy_is_entropy_and_divergence(std):
    one, other = Normal(MEAN, std), Normal(OTHER_MEAN, drawn(4, 2, 3, seed=4).exp())
    for a, b in ((one, other), (other, one), (one, one)):
        torch.testing.assert_close(a.cross_entropy(b), a.entropy() + a.kl(b), rtol=1e-12, atol=1e-12)


def test_cross_entropy_is_the_mean_of_minus_the_log_density():
    # Gauss–Hermite quadrature with 20 nodes is exact for a square, in one dimension at a time.
    nodes, weights = (torch.tensor(each) for each in np.polynomial.hermite_e.hermegauss(20))
    x, share = (0.3 + 0.8 * nodes)[:, None], weights / weights.sum()
    one, other = (Normal(x * 0 + m, torch.full_like(x, s)) for m, s in ((0.3, 0.8), (-0.2, 1.3)))
    for belief in (one, other):
        truth = -(share * belief.log_prob(x)).sum()
        torch.testing.assert_close(one.cross_entropy(belief)[0], truth, rtol=1e-12, atol=1e-12)


def test_examples_of_one_number_need_no_second_axis():
    one, other = (
        Normal(drawn(5), torch.tensor(0.7, dtype=torch.float64)),
        Normal(drawn(5, seed=1), drawn(5, seed=2).exp()),
    )
    x = drawn(5, seed=3)
    truth = [Reference(one.mean, one.std).log_prob(x), Reference(one.mean, one.std).entropy().expand(5)]
    for found, wanted in zip((one.log_prob(x), one.entropy()), truth, strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)
    truth = kl_divergence(Reference(one.mean, one.std), Reference(other.mean, other.std))
    torch.testing.assert_close(one.kl(other), truth, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(one.cross_entropy(other), one.entropy() + truth, rtol=1e-12, atol=1e-12)


@every_std
def test_a_sample_is_the_mean_moved_by_noise(std):
    z = drawn(4, 2, 3, seed=5)
    assert torch.equal(Normal(MEAN, std).sample(z), MEAN + std * z)


def test_kl_is_the_mean_of_the_log_ratio():
    one, other = (Normal(torch.full((1, 2), m), torch.tensor(s)) for m, s in ((0.3, 0.8), (-0.2, 1.3)))
    z = drawn(40_000, 2, seed=6).float()
    x = one.sample(z)
    ratio = _log_ratio(one, other, x)
    # Five standard errors of the mean.
    assert abs(float(ratio.mean() - one.kl(other))) < 5 * float(ratio.std()) / 200


def _log_ratio(one, other, x):
    """log one(x) − log other(x) for many x under one mean."""
    many = [Normal(d.mean.expand_as(x), d.std) for d in (one, other)]
    return many[0].log_prob(x) - many[1].log_prob(x)

"""The last step's likelihood: bins hold all of a Gaussian, in both tails and in any precision."""

import math

import pytest
import torch
from scipy import stats

from sfumato.diffusion.decoder import ContinuousGaussian, DiscretisedGaussian, log_mass
from sfumato.errors import ConfigError
from sfumato.normal import Normal

from .helpers import close, number, randn

BYTES = DiscretisedGaussian()
VALUES = torch.linspace(-1, 1, 256, dtype=torch.float64)[:, None]
STDS = [1e-4, 1e-3, 0.01, 0.3, 2.0, 10.0]
every_std = pytest.mark.parametrize("std", STDS)


def belief(like, mean, std):
    return Normal(torch.full_like(like, mean), torch.full_like(like, std))


@every_std
@pytest.mark.parametrize("mean", [-3.0, -1.0, -0.2, 0.9987, 1.5])
def test_the_256_bins_hold_all(mean, std):
    close(BYTES.log_prob(VALUES, belief(VALUES, mean, std)).exp().sum(), 1.0, rtol=1e-12)


@pytest.mark.parametrize("std", [0.01, 0.3, 2.0])
def test_a_bin_holds_the_mass_between_its_edges(std):
    edges = torch.linspace(-1 - 1 / 255, 1 + 1 / 255, 257, dtype=torch.float64)
    below = torch.from_numpy(stats.norm.cdf(edges.numpy(), 0.1, std))
    below[0], below[-1] = 0.0, 1.0
    # scipy's differences lose digits where both values of Φ are near 1: 1e-16 absolute.
    close(BYTES.log_prob(VALUES, belief(VALUES, 0.1, std)).exp(), below.diff(), rtol=0, atol=1e-15)


def test_other_bins_are_their_own():
    decoder = DiscretisedGaussian(0.5, (0.0, 2.0))
    values = number([0.0, 0.5, 1.0, 1.5, 2.0])[:, None]
    inner = stats.norm.cdf([0.25, 0.75, 1.25, 1.75], 0.8, 0.4)
    truth = [inner[0], *(inner[1:] - inner[:-1]), 1 - inner[-1]]
    close(decoder.log_prob(values, belief(values, 0.8, 0.4)).exp(), number(truth), rtol=1e-12)


@pytest.mark.parametrize(
    ("low", "high"), [(5.0, 5.1), (30.0, 30.01), (-200.0, -199.0), (-0.1, 0.2), (3e4, 4e4)]
)
def test_a_mass_keeps_its_digits_in_both_tails(low, high):
    # log(Φ(high) − Φ(low)) = log ∫ exp(−½z²) dz − ½ log 2π, with the integrand's largest value taken out:
    # what is left decays from 1 at rate `near`, so 40 lengths of it hold all but e^−40.
    near = max(min(abs(low), abs(high)), 1.0) if low * high > 0 else 1.0
    sides = (low, high) if low > 0 or low * high < 0 else (-high, -low)
    far = min(sides[1], sides[0] + 40 / near)
    z = torch.linspace(sides[0], far, 200_001, dtype=torch.float64)
    top = 0.5 * sides[0] ** 2
    left = torch.trapezoid((top - 0.5 * z.square()).exp(), z).log()
    truth = left - top - 0.5 * math.log(2 * math.pi)
    found = log_mass(number(low), number(high))
    close(found, truth, rtol=1e-9)
    close(log_mass(number(-high), number(-low)), found, rtol=1e-12)


def test_an_interval_closed_by_rounding_is_finite():
    assert math.isfinite(float(log_mass(number(0.3), number(0.3))))
    assert math.isfinite(float(BYTES.log_prob(VALUES[:1] * 0, belief(VALUES[:1], 0.0, 1e20))))


@every_std
@pytest.mark.parametrize("mean", [-1.0, 0.0, 0.7, 30.0])
def test_values_and_gradients_are_finite_in_float32(mean, std):
    values = VALUES.float()
    means = torch.full_like(values, mean, requires_grad=True)
    stds = torch.full_like(values, std, requires_grad=True)
    log_prob = BYTES.log_prob(values, Normal(means, stds))
    log_prob.sum().backward()
    assert log_prob.dtype == torch.float32
    for value in (log_prob, means.grad, stds.grad):
        assert bool(torch.isfinite(value).all())
    # A belief that is far off is pulled to where the value is, however far: nothing is clipped.
    wrong = (values - mean).abs() > max(1 / 255, 3 * std)
    inside = (values.abs() < 1) & wrong
    assert bool((means.grad.sign() == (values - mean).sign())[inside].all())


def test_gradients_are_those_of_differences():
    def of(mean, std):
        return BYTES.log_prob(VALUES, Normal(mean, std)).sum()

    mean, std = (0.3 * randn(256, 1)).requires_grad_(), randn(256, 1, seed=1).exp().requires_grad_()
    assert torch.autograd.gradcheck(of, (mean, std))


def test_a_picture_s_probability_is_the_product_of_its_values():
    x0 = (randn(3, 2, 4, 4) / 4).clamp(-1, 1)
    guess = Normal(0.5 * x0, torch.full_like(x0, 0.2))
    flat = Normal(guess.mean.reshape(-1, 1), guess.std.reshape(-1, 1))
    close(BYTES.log_prob(x0, guess), BYTES.log_prob(x0.reshape(-1, 1), flat).reshape(3, -1).sum(1))


def test_narrow_bins_hold_the_density_times_their_width():
    x0, guess = 0.5 * randn(4, 3), Normal(randn(4, 3, seed=1), number(0.6))
    density = ContinuousGaussian().log_prob(x0, guess)
    close(density, torch.distributions.Normal(guess.mean, guess.std).log_prob(x0).sum(1))
    fine = DiscretisedGaussian(1e-4, (-100.0, 100.0)).log_prob(x0, guess)
    # The next term of the series is width²/24 times the second derivative: 1e-8.
    close(fine, density + 3 * math.log(1e-4), rtol=0, atol=1e-7)


@pytest.mark.parametrize(
    ("width", "bounds"), [(0.0, (-1, 1)), (-1.0, (-1, 1)), (0.1, (1, -1)), (3.0, (-1, 1))]
)
def test_bins_that_are_none_are_refused(width, bounds):
    with pytest.raises(ConfigError, match="bins need"):
        DiscretisedGaussian(width, bounds)

"""Decoders' likelihoods: each is normalised, its mean is its mean, and its samples are spread as it says."""

import math

import pytest
import torch
from torch import Tensor

from sfumato.errors import ConfigError
from sfumato.families.agreements import DataFacts
from sfumato.families.variational.likelihoods import (
    LEVEL,
    LIKELIHOODS,
    Bernoulli,
    DiscretisedLogistic,
    FixedGaussian,
    Gaussian,
    Likelihood,
    likelihood,
)
from sfumato.randomness import SeededNoise, generator

LEVELS = torch.arange(256, dtype=torch.float64) * LEVEL - 1
GREY = DataFacts((1, 4, 4), bounds=(-1.0, 1.0))
SUPPORTS = {
    "bernoulli": (torch.tensor([-1.0, 1.0]).double(), 1.0),
    "logistic": (LEVELS, 1.0),
    "gaussian": (torch.linspace(-80, 80, 160_001, dtype=torch.float64), 1e-3),
    "fixed-gaussian": (torch.linspace(-80, 80, 160_001, dtype=torch.float64), 1e-3),
}
"""All values (or a fine grid of them) and what each stands for; a grid's trapezoids err by far below 1e-9."""


def outputs(name: str, rows: int) -> Tensor:
    """Draw decoder outputs for one value a row: locations in and beyond [−1, 1], scales e^−2 to e^2."""
    drawn = torch.randn(rows, LIKELIHOODS[name].outputs, 1, 1, generator=generator(0, name)).double()
    return drawn.flatten(1)[:, :, None, None] * 1.2


def masses(piece: Likelihood, output: Tensor, values: Tensor) -> Tensor:
    """p(value) for every value: (B, values)."""
    columns = [piece.log_prob(output, value.expand(len(output), 1, 1, 1)) for value in values.split(1)]
    return torch.stack(columns, 1).exp()


@pytest.mark.parametrize("name", ["bernoulli", "logistic"])
def test_a_discrete_likelihood_sums_to_one(name: str) -> None:
    """In double precision, for locations far outside and scales from the least to wide."""
    output = outputs(name, 9)
    if name == "logistic":
        output = torch.cat([output, torch.tensor([[0.3, -9.0], [5.0, -7.0], [-3.0, 1.0]])[:, :, None, None]])
    total = masses(likelihood(name), output, SUPPORTS[name][0]).sum(1)
    torch.testing.assert_close(total, torch.ones_like(total), rtol=1e-9, atol=0)


@pytest.mark.parametrize("name", ["gaussian", "fixed-gaussian"])
def test_a_density_integrates_to_one(name: str) -> None:
    values, width = SUPPORTS[name]
    output = outputs(name, 3)
    piece = likelihood(name)
    many = values[:, None, None, None]
    for row in output.split(1):
        total = piece.log_prob(row.expand(len(many), -1, -1, -1), many).exp().sum() * width
        assert float(total) == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("name", ["bernoulli", "logistic"])
def test_the_mean_is_that_of_the_masses(name: str) -> None:
    """The logistic's closed form integrates where the bins sum: within half a level (here far less)."""
    output = outputs(name, 9)
    values = SUPPORTS[name][0]
    expected = (masses(likelihood(name), output, values) * values).sum(1)
    found = likelihood(name).mean(output).flatten()
    torch.testing.assert_close(found, expected, rtol=0, atol=LEVEL / 2 if name == "logistic" else 1e-12)


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_samples_have_the_mean_and_lie_in_the_support(name: str) -> None:
    """20,000 draws: five standard errors, and the half level that the logistic's mean may be off."""
    piece, rows = likelihood(name), 20_000
    output = outputs(name, 1).float().expand(rows, -1, -1, -1)
    drawn = piece.sample(output, SeededNoise(range(rows)))
    assert drawn.shape == (rows, 1, 1, 1)
    error = float(drawn.std()) / rows**0.5
    assert float(drawn.mean()) == pytest.approx(float(piece.mean(output[:1])), abs=5 * error + LEVEL / 2)
    if name in ("bernoulli", "logistic"):
        nearest = (drawn.double().flatten()[:, None] - SUPPORTS[name][0]).abs().min(1).values
        assert nearest.max() < 1e-6


def test_the_logistic_spreads_as_its_masses_say() -> None:
    """The share of each third of the levels, over 20,000 draws: five standard errors of at most 0.0036."""
    output = torch.tensor([0.6, -1.0])[None, :, None, None]
    drawn = DiscretisedLogistic().sample(output.expand(20_000, -1, -1, -1), SeededNoise(range(20_000)))
    mass = masses(DiscretisedLogistic(), output.double(), LEVELS)[0]
    for low, high in ((-1.1, -0.3), (-0.3, 0.3), (0.3, 1.1)):
        share = ((drawn > low) & (drawn <= high)).double().mean()
        expected = mass[(low < LEVELS) & (high >= LEVELS)].sum()
        assert float(share) == pytest.approx(float(expected), abs=0.018)


def test_the_logistic_s_gradient_is_finite_in_float32_everywhere() -> None:
    """Locations far off, scales far below the least and far above any: no NaN, and a way back."""
    location = torch.tensor([-50.0, -1.0, 0.0, 1.0, 50.0])
    grid = torch.cartesian_prod(
        location, torch.tensor([-30.0, -7.0, 0.0, 8.0]), torch.tensor([-1.0, 0.0, 1.0])
    )
    output = grid[:, :2, None, None].clone().requires_grad_()
    log_prob = DiscretisedLogistic().log_prob(output, grid[:, 2:, None, None])
    (gradient,) = torch.autograd.grad(log_prob.sum(), output)
    assert log_prob.isfinite().all()
    assert (log_prob <= 0).all()
    assert gradient.isfinite().all()


def test_likelihoods_are_sums_over_all_values() -> None:
    """An example's nats are the sum of its values' own: no mean hides in them."""
    x = torch.rand(2, 3, 5, 4, generator=generator(0, "x")).mul(255).round().double() * LEVEL - 1
    for name in LIKELIHOODS:
        piece = likelihood(name)
        each = torch.randn(2, piece.outputs, 1, 1, generator=generator(1, name)).double()
        output = each.repeat_interleave(3, dim=1).expand(-1, -1, 5, 4)
        total = sum(
            piece.log_prob(each, x[:, c : c + 1, i : i + 1, j : j + 1])
            for c in range(3)
            for i in range(5)
            for j in range(4)
        )
        torch.testing.assert_close(piece.log_prob(output, x), total, rtol=1e-12, atol=0)


def test_a_grey_value_is_the_mean_over_its_black_and_white_pictures() -> None:
    logit, grey = torch.tensor([[0.7]]).double(), torch.tensor([[-0.4]]).double()
    black, white = (Bernoulli().log_prob(logit, torch.tensor([[value]]).double()) for value in (-1.0, 1.0))
    torch.testing.assert_close(Bernoulli().log_prob(logit, grey), 0.3 * white + 0.7 * black)


def test_the_learned_gaussian_shares_its_std_over_an_example() -> None:
    output = torch.zeros(1, 2, 1, 2).double()
    output[0, 1] = torch.tensor([-1.0, -3.0])
    x = torch.tensor([0.1, -0.2]).double().reshape(1, 1, 1, 2)
    expected = FixedGaussian(math.exp(-2)).log_prob(output[:, :1], x)
    torch.testing.assert_close(Gaussian().log_prob(output, x), expected)


def test_decoders_refuse_what_they_do_not_describe() -> None:
    colour = DataFacts((3, 8, 8), bounds=(-1.0, 1.0))
    points = DataFacts((2,))
    with pytest.raises(
        ConfigError, match=r"Bernoulli decoder is for black and white: choose decoder gaussian"
    ):
        Bernoulli().check(colour)
    with pytest.raises(ConfigError, match=r"black and white: choose decoder gaussian for examples of shape"):
        Bernoulli().check(points)
    with pytest.raises(ConfigError, match="for pictures of bytes"):
        DiscretisedLogistic().check(points)
    with pytest.raises(ConfigError, match=r"Unknown decoder 'gausian'.*'gaussian'"):
        likelihood("gausian")
    with pytest.raises(ConfigError, match="'bernoulli' has no option std"):
        likelihood("bernoulli", {"std": 0.1})
    with pytest.raises(ConfigError, match="above 0"):
        likelihood("fixed-gaussian", {"std": 0.0})
    Bernoulli().check(GREY)
    DiscretisedLogistic().check(colour)
    Gaussian().check(points)
    assert likelihood("fixed-gaussian", {"std": 0.3}) == FixedGaussian(0.3)

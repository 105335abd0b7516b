"""The oracle itself, held against autograd, quadrature and its own samples."""

import math

import pytest
import torch
from torch.distributions import Categorical, MixtureSameFamily, MultivariateNormal

from sfumato.diffusion.exact import ExactDenoiser, GaussianMixture, gaussian
from sfumato.diffusion.level import expand
from sfumato.errors import ConfigError
from sfumato.verify.pieces import SCHEDULES

from .helpers import COVARIANCE, MEAN, close, number, rand, randn

every_schedule = pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
WEIGHTS = number([0.2, 0.5, 0.3])
MEANS = number([[0.5, -1.0, 0.3], [-1.5, 0.2, 0.0], [0.8, 1.2, -0.7]])
EYE = torch.eye(3, dtype=torch.float64)
COVARIANCES = torch.stack([COVARIANCE, 0.3 * EYE + 0.1, COVARIANCE.flip(0, 1)])
MIXTURE = GaussianMixture.of(WEIGHTS, MEANS, COVARIANCES)
LINE = GaussianMixture.of(number([0.3, 0.7]), number([[-1.0], [0.6]]), number([[[0.2]], [[0.5]]]))


@every_schedule
def test_log_prob_is_the_sum_over_components(schedule):
    t = 0.05 + 0.9 * rand(20)
    level, x_t = schedule.level(t), randn(20, 3)
    a, s = level.alpha[:, None, None, None], level.sigma[:, None, None, None]
    parts = MultivariateNormal(a[..., 0] * MEANS, a**2 * COVARIANCES + s**2 * EYE)
    truth = MixtureSameFamily(Categorical(WEIGHTS.expand(20, 3)), parts).log_prob(x_t)
    close(MIXTURE.log_prob(x_t, level), truth)


@every_schedule
def test_the_best_denoiser_is_tweedie_s(schedule):
    t = 0.05 + 0.9 * rand(20)
    level = schedule.level(t)
    x_t = (expand(level.alpha, randn(20, 3)) * 1.5 + expand(level.sigma, randn(20, 3))) * randn(20, 3)
    x_t.requires_grad_()
    (score,) = torch.autograd.grad(MIXTURE.log_prob(x_t, level).sum(), x_t)
    alpha, sigma = expand(level.alpha, x_t), expand(level.sigma, x_t)
    truth = (x_t + sigma**2 * score) / alpha
    # Where sigma is 70 the two terms cancel 70 : 1, and rounding grows by sigma/alpha: 1e-16·1e4 at most.
    close(MIXTURE.posterior_mean(x_t, level).detach(), truth.detach(), rtol=1e-9)


@every_schedule
@pytest.mark.parametrize("x", [-1.3, 0.1, 2.0])
def test_the_best_denoiser_is_bayes_rule_integrated(schedule, x):
    level = schedule.level(number(0.4))
    x0 = torch.linspace(-12, 12, 200_001, dtype=torch.float64)
    # The trapezoidal rule on Gaussians is exact once a step is well below the narrowest width, here
    # 1.2e-4 against sigma(0.4)/alpha(0.4) ≥ 0.15, and the ends hold no mass.
    x_t = number(x) * torch.hypot(level.alpha, level.sigma)
    likelihood = -0.5 * ((x_t - level.alpha * x0) / level.sigma) ** 2
    prior = torch.logsumexp(
        torch.stack(
            [
                math.log(w / math.sqrt(v)) - 0.5 * (x0 - m) ** 2 / v
                for w, m, v in ((0.3, -1.0, 0.2), (0.7, 0.6, 0.5))
            ]
        ),
        0,
    )
    truth = ((likelihood + prior).softmax(0) * x0).sum()
    close(LINE.posterior_mean(x_t[None, None], level).squeeze(), truth)


@every_schedule
def test_density_integrates_to_1(schedule):
    level = schedule.level(number(0.4))
    width = float(12 * torch.hypot(level.alpha, level.sigma))
    x = torch.linspace(-width, width, 20_001, dtype=torch.float64)
    close(torch.trapezoid(LINE.log_prob(x[:, None], level).exp(), x), 1.0)


def test_samples_have_the_moments_of_the_mixture():
    n = 40_000
    x = MIXTURE.sample(n, torch.Generator().manual_seed(3))
    mean = WEIGHTS @ MEANS
    spread = MEANS - mean
    covariance = torch.einsum("k,kij->ij", WEIGHTS, COVARIANCES + spread[:, :, None] * spread[:, None, :])
    # Five standard errors; a mixture's fourth moment is below three times its variance squared.
    variances = covariance.diagonal()
    assert x.shape == (n, 3)
    assert bool(((x.mean(0) - mean).abs() < 5 * (variances / n).sqrt()).all())
    error = (2 * torch.outer(variances, variances) / n).sqrt()
    assert bool(((x.T.cov() - covariance).abs() < 5 * error).all())


def test_samples_are_those_of_their_generator():
    draws = [MIXTURE.sample(5, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


@every_schedule
def test_the_exact_denoiser_is_the_posterior_mean_and_its_noise(schedule):
    t, x_t = 0.05 + 0.9 * rand(20), randn(20, 3)
    level = schedule.level(t)
    estimate = ExactDenoiser(MIXTURE, schedule).estimate(x_t, t)
    close(estimate.x0, MIXTURE.posterior_mean(x_t, level))
    # E[eps | x_t] = −sigma·score.
    x_t.requires_grad_()
    (score,) = torch.autograd.grad(MIXTURE.log_prob(x_t, level).sum(), x_t)
    close(estimate.eps, -expand(level.sigma, score) * score, rtol=1e-8, atol=1e-8)


def test_one_time_serves_the_whole_batch():
    denoiser, x_t = ExactDenoiser(MIXTURE, SCHEDULES["linear_vp"]), randn(4, 3)
    one = denoiser.estimate(x_t, number(0.3))
    close(one.x0, denoiser.estimate(x_t, torch.full((4,), 0.3, dtype=torch.float64)).x0)


def test_a_point_is_a_mixture_too():
    point = gaussian(MEAN, torch.zeros(3, 3))
    close(point.posterior_mean(randn(4, 3), SCHEDULES["cosine_vp"].level(number(0.5))), MEAN.expand(4, 3))


@pytest.mark.parametrize(
    ("weight", "variance"), [(0.9, 1.0), (1.0, -0.5)], ids=["weights_off", "negative_variance"]
)
def test_what_is_no_mixture_is_refused(weight, variance):
    with pytest.raises(ConfigError, match="mixture"):
        GaussianMixture.of(number([weight]), number([[0.0]]), number([[[variance]]]))

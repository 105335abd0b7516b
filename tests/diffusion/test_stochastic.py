"""The one stochastic step: its closed forms, and the exact law of the chain it makes on a Gaussian."""

import itertools
import math

import pytest
import torch

from sfumato.diffusion.exact import ExactDenoiser, gaussian
from sfumato.diffusion.grids import LogSNRGrid
from sfumato.diffusion.process import corrupt, posterior
from sfumato.diffusion.samplers import Posterior, Question, Renoise, Stochastic, ancestral, ddim, renoise
from sfumato.errors import ConfigError
from sfumato.verify.pieces import RULES, SCHEDULES, SMOOTH, VARIANCE_PRESERVING

from .helpers import BlockNoise, FixedNoise, KnownDenoiser, close, last_x, number, rand, randn

every_schedule = pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
# The rules whose c² + kappa² is sigma_s²; the wider variances keep the posterior's mean instead.
KEEPING = {name: rule for name, rule in RULES.items() if name != "large"}
X0, Z = number([[0.3, -0.8]]), number([[1.1, -0.4]])


def one_step(schedule, rule, x_t, t, s, z=Z):
    """One step of a rule by a denoiser that believes in X0."""
    ask = Question(KnownDenoiser(schedule, X0))
    return Stochastic(rule).step(ask, x_t, ask.at(t), ask.at(s), FixedNoise(z), None)


def two_times(seed):
    s, t = (0.02 + 0.96 * rand(2, seed=seed)).sort().values.tolist()
    return s, t


@pytest.mark.parametrize("name", VARIANCE_PRESERVING)
@pytest.mark.parametrize("eta", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("seed", range(3))
def test_posterior_step_is_ddim_equations_12_and_16(name, eta, seed):
    schedule, (s, t) = SCHEDULES[name], two_times(seed)
    bar_t, bar_s = float(schedule.level(t).alpha) ** 2, float(schedule.level(s).alpha) ** 2
    x_t = randn(1, 2)
    eps = (x_t - math.sqrt(bar_t) * X0) / math.sqrt(1 - bar_t)
    deviation = eta * math.sqrt((1 - bar_s) / (1 - bar_t)) * math.sqrt(1 - bar_t / bar_s)
    predicted = (x_t - math.sqrt(1 - bar_t) * eps) / math.sqrt(bar_t)
    direction = math.sqrt(1 - bar_s - deviation**2) * eps
    truth = math.sqrt(bar_s) * predicted + direction + deviation * Z
    close(one_step(schedule, Posterior(eta), x_t, t, s).x, truth)


@every_schedule
@pytest.mark.parametrize("seed", range(3))
def test_eta_1_draws_from_the_posterior(schedule, seed):
    s, t = two_times(seed)
    x_t = corrupt(schedule, X0, randn(1, 2), number(t))
    step = one_step(schedule, Posterior(1.0), x_t, t, s)
    close(step.x, posterior(schedule, X0, x_t, number(s), number(t)).sample(Z))
    assert torch.equal(step.x0, X0)


@every_schedule
def test_renoise_forgets_the_noise_it_saw(schedule):
    step = one_step(schedule, Renoise(), randn(1, 2), 0.8, 0.3)
    level = schedule.level(number(0.3))
    close(step.x, level.alpha * X0 + level.sigma * Z)


@every_schedule
@pytest.mark.parametrize("rule", KEEPING.values(), ids=KEEPING)
@pytest.mark.parametrize("seed", range(3))
def test_rules_keep_the_marginal(schedule, rule, seed):
    ask, (s, t) = Question(KnownDenoiser(schedule, X0)), two_times(seed)
    c, kappa = rule.coefficients(ask.at(t), ask.at(s), None)
    close(math.hypot(c, kappa), float(schedule.level(number(s)).sigma))
    assert min(c, kappa) >= 0


def test_the_named_samplers_are_settings_of_the_one_step():
    assert ddim() == Stochastic(Posterior(0.0))
    assert ancestral() == Stochastic(Posterior(1.0))
    assert ancestral(0.3) == Stochastic(Posterior(0.3))
    assert renoise() == Stochastic(Renoise())


@pytest.mark.parametrize("eta", [-0.1, 1.1, math.nan])
def test_eta_lies_between_its_ends(eta):
    with pytest.raises(ConfigError, match="eta"):
        Posterior(eta)


def test_no_noise_is_drawn_where_none_is_used():
    # FixedNoise of the wrong shape would fail if it were asked.
    ask = Question(KnownDenoiser(SCHEDULES["linear_vp"], X0))
    step = Stochastic(Posterior(0.0)).step(ask, randn(1, 2), ask.at(0.8), ask.at(0.3), None, None)
    assert bool(step.x.isfinite().all())


def closed_form(name, t, s):
    """(c, kappa) of the rules in `pieces`, from the levels alone."""
    if name == "renoise":
        return 0.0, s.sigma
    if name == "large":
        # c·ε̂ is the noise that the posterior's mean keeps; kappa is the noise the transition added.
        c = t.alpha * s.sigma**2 / (s.alpha * t.sigma)
        return c, math.sqrt(t.sigma**2 - (t.alpha / s.alpha * s.sigma) ** 2) if s.sigma > 0 else 0.0
    eta = {"ddim": 0.0, "half": 0.5, "ddpm": 1.0}[name]
    variance = s.sigma**2 * (1 - (t.alpha * s.sigma / (s.alpha * t.sigma)) ** 2)
    return math.sqrt(max(s.sigma**2 - eta**2 * variance, 0.0)), eta * math.sqrt(variance)


def chain_law(name, schedule, mean, covariance, times):
    """The exact mean and covariance of a chain on Gaussian data, whose every step is linear.

    x̂0 = m + K (x_t − alpha m), K = alpha C (alpha² C + sigma² I)⁻¹, and ε̂ = (x_t − alpha x̂0)/sigma.
    """
    eye = torch.eye(len(mean), dtype=torch.float64)
    levels = [Question(KnownDenoiser(schedule, X0)).at(float(t)) for t in times]
    centre, spread = torch.zeros_like(mean), schedule.prior_std**2 * eye
    for t, s in itertools.pairwise(levels):
        c, kappa = closed_form(name, t, s)
        gain = t.alpha * covariance @ torch.linalg.inv(t.alpha**2 * covariance + t.sigma**2 * eye)
        matrix = s.alpha * gain + c / t.sigma * (eye - t.alpha * gain)
        x0 = mean + gain @ (centre - t.alpha * mean)
        centre = s.alpha * x0 + c / t.sigma * (centre - t.alpha * x0)
        spread = matrix @ spread @ matrix.T + kappa**2 * eye
    return centre, spread


@every_schedule
@pytest.mark.parametrize("name", RULES)
def test_samples_have_the_mean_and_covariance_of_their_chain(schedule, name):
    n, mean = 20_000, number([0.5, -1.0])
    covariance = number([[1.0, 0.4], [0.4, 0.5]])
    times = LogSNRGrid().times(8, schedule)
    truth_mean, truth = chain_law(name, schedule, mean, covariance, times)
    noise = BlockNoise(7)
    denoiser = ExactDenoiser(gaussian(mean, covariance), schedule)
    x = last_x(denoiser, Stochastic(RULES[name]), schedule.prior_std * noise.normal((n, 2)), times, noise)
    # Five standard errors of a mean and of a covariance of n Gaussian samples; the seed is fixed.
    variances = truth.diagonal()
    assert bool(((x.mean(0) - truth_mean).abs() < 5 * (variances / n).sqrt() + 1e-12).all())
    error = ((torch.outer(variances, variances) + truth**2) / n).sqrt()
    assert bool(((x.T.cov() - truth).abs() < 5 * error + 1e-12).all())


class OneAtATime:
    """Noise that is 1 in row 2 + i of its draw number i, and 0 elsewhere."""

    def __init__(self):
        self.drawn = 0

    def normal(self, shape):
        z = torch.zeros(*shape, dtype=torch.float64)
        z[2 + self.drawn] = 1
        self.drawn += 1
        return z


def after_step(ask, sampler, t, s, m, v):
    """The mean and variance at s of a one-dimensional step from mean m and variance v at t.

    On a Gaussian a step is affine in (x_t, z_1, z_2, …), so the rows (0, 0, …), (1, 0, …), (0, 1, …), … give
    its law without sampling. It may draw up to four times.
    """
    x = number([[0.0], [1.0], [0.0], [0.0], [0.0], [0.0]])
    x_s = sampler.step(ask, x, ask.at(t), ask.at(s), OneAtATime(), None).x.flatten()
    at_0, of_x, *of_z = [x_s[0].item(), *(x_s[1:] - x_s[0]).tolist()]
    return at_0 + of_x * m, of_x**2 * v + math.fsum(one**2 for one in of_z)


def law_of_chain(schedule, sampler, times, mean=0.5, variance=0.4):
    """The mean and variance at the last time of a chain from the true marginal at the first."""
    ask = Question(ExactDenoiser(gaussian(number([mean]), number([[variance]])), schedule))
    start = ask.at(times[0])
    m, v = start.alpha * mean, start.alpha**2 * variance + start.sigma**2
    for t, s in itertools.pairwise(times):
        m, v = after_step(ask, sampler, t, s, m, v)
    return m, v


def step_by_step_law(schedule, sampler, steps, mean=0.5, variance=0.4):
    """Errors of the mean and variance at t = 0.1 of a chain from the true marginal at t = 0.9, in 1-D."""
    times = torch.linspace(0.9, 0.1, steps + 1, dtype=torch.float64).tolist()
    m, v = law_of_chain(schedule, sampler, times, mean, variance)
    end = Question(KnownDenoiser(schedule, X0)).at(0.1)
    return abs(m - end.alpha * mean), abs(v - end.alpha**2 * variance - end.sigma**2)


@pytest.mark.parametrize("schedule_name", SMOOTH)
@pytest.mark.parametrize("name", ["ddim", "half", "ddpm"])
def test_many_steps_reach_the_true_marginal_at_order_1(schedule_name, name):
    coarse = step_by_step_law(SCHEDULES[schedule_name], Stochastic(RULES[name]), 200)
    fine = step_by_step_law(SCHEDULES[schedule_name], Stochastic(RULES[name]), 400)
    # An error A/K + B/K² at K = 200 halves to within B/(A·K), which is a few percent here.
    assert coarse[1] / fine[1] == pytest.approx(2, abs=0.2)
    assert fine[0] <= max(0.6 * coarse[0], 1e-10)


def test_a_step_to_the_clean_end_is_the_estimate():
    for rule in RULES.values():
        assert torch.equal(one_step(SCHEDULES["cosine_vp"], rule, randn(1, 2), 0.2, 0.0).x, X0)

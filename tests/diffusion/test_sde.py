"""Euler–Maruyama and churn: their published formulas, their ends, and their laws on a Gaussian."""

import itertools
import math

import pytest
import torch

from sfumato.diffusion.exact import ExactDenoiser, gaussian
from sfumato.diffusion.process import drift_and_diffusion
from sfumato.diffusion.samplers import Churn, EulerMaruyama, Heun, Question
from sfumato.diffusion.schedules import LinearVE, LinearVP
from sfumato.errors import ConfigError
from sfumato.verify.pieces import NO_SIGNAL_AT_ONE, SCHEDULES, SMOOTH

from .helpers import COVARIANCE, MEAN, FixedNoise, KnownDenoiser, close, number, randn
from .test_stochastic import after_step, law_of_chain, step_by_step_law, two_times

every_schedule = pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
smooth = pytest.mark.parametrize("schedule_name", SMOOTH)
X0, Z = number([[0.3, -0.8]]), number([[1.1, -0.4]])
UNASKED = None
"""In the place of a source of noise: drawing from it fails."""


def known(schedule):
    return Question(KnownDenoiser(schedule, X0))


def exact(schedule):
    return Question(ExactDenoiser(gaussian(MEAN, COVARIANCE), schedule))


def step(sampler, ask, x, t, s, noise):
    return sampler.step(ask, x, ask.at(t), ask.at(s), noise, None).x


@every_schedule
@pytest.mark.parametrize("seed", range(3))
def test_a_step_is_the_reverse_equation_s(schedule, seed):
    # Song et al. 2021, equation 6: dx = [f x − g² score] dt + g dw̄, from t down to s.
    (s, t), x_t = two_times(seed), randn(1, 2)
    level, (f, g) = schedule.level(number(t)), drift_and_diffusion(schedule, number(t))
    score = -(x_t - level.alpha * X0) / level.sigma**2
    truth = x_t - (t - s) * (f * x_t - g**2 * score) + g * math.sqrt(t - s) * Z
    close(step(EulerMaruyama(), known(schedule), x_t, t, s, FixedNoise(Z)), truth)


def test_on_the_preserving_equation_it_is_the_paper_s_by_its_beta():
    t, s, x_t = 0.7, 0.6, randn(1, 2)
    beta, level = 0.1 + 0.7 * 19.9, LinearVP().level(0.7)
    score = -(x_t - level.alpha * X0) / level.sigma**2
    truth = x_t + 0.1 * (0.5 * beta * x_t + beta * score) + math.sqrt(beta * 0.1) * Z
    close(step(EulerMaruyama(), known(LinearVP()), x_t, t, s, FixedNoise(Z)), truth)


@pytest.mark.parametrize("name", NO_SIGNAL_AT_ONE)
def test_from_pure_noise_the_step_is_the_exact_one_for_its_estimate(name):
    ask = known(SCHEDULES[name])
    level = ask.at(0.8)
    x_s = step(EulerMaruyama(), ask, randn(1, 2), 1.0, 0.8, FixedNoise(Z))
    close(x_s, level.alpha * X0 + level.sigma * Z)


@every_schedule
def test_the_last_step_is_the_estimate_and_draws_nothing(schedule):
    assert torch.equal(step(EulerMaruyama(), known(schedule), randn(1, 2), 0.2, 0.0, UNASKED), X0)


def has_order(order, coarse, fine, within):
    """Whether doubled steps divide the errors of mean and variance by 2^order."""
    assert math.log2(coarse[1] / fine[1]) == pytest.approx(order, abs=within)
    # Where the signal's scale is linear in time the mean is exact, and only rounding is left of its error.
    assert max(coarse[0], fine[0]) < 1e-12 or math.log2(coarse[0] / fine[0]) == pytest.approx(
        order, abs=within
    )


@smooth
def test_euler_maruyama_has_weak_order_1(schedule_name):
    # The leading error of the variance on geometric levels is the difference of u/(C + u)², u = sigma²,
    # between the ends, for data of variance C: it all but vanishes unless C is about the last u.
    coarse, fine = (
        step_by_step_law(SCHEDULES[schedule_name], EulerMaruyama(), k, variance=1e-3) for k in (200, 400)
    )
    # The next term of the error is up to a tenth of the leading one at K = 200, and a twentieth at 400.
    has_order(1, coarse, fine, 0.1)


@pytest.mark.parametrize("name", NO_SIGNAL_AT_ONE)
def test_weak_order_1_holds_from_pure_noise_too(name):
    # Near alpha = 0 the first steps are wrong by as much as there is noise, and are forgotten as alpha grows.
    schedule, errors = SCHEDULES[name], []
    end = schedule.level(0.3)
    for k in (200, 400):
        times = torch.linspace(1, 0.3, k + 1, dtype=torch.float64).tolist()
        m, v = law_of_chain(schedule, EulerMaruyama(), times)
        errors.append((abs(m - end.alpha * 0.5), abs(v - end.alpha**2 * 0.4 - end.sigma**2)))
    has_order(1, *errors, 0.1)


@every_schedule
def test_without_churn_it_is_heun_bitwise(schedule):
    ask, x = exact(schedule), schedule.prior_std * randn(2, 3)
    for t, s in ((1.0, 0.6), (0.6, 0.3), (0.3, 0.0)):
        assert torch.equal(step(Churn(gamma=0.0), ask, x, t, s, UNASKED), step(Heun(), ask, x, t, s, UNASKED))


def test_outside_its_ratios_nothing_is_added():
    ask, x = exact(LinearVE(80.0)), randn(2, 3)
    # The ratios at t = 0.5 and 0.1 are 40 and 8.
    for sampler, t in ((Churn(s_max=39.9), 0.5), (Churn(s_min=8.1), 0.1)):
        assert torch.equal(step(sampler, ask, x, t, 0.05, UNASKED), step(Heun(), ask, x, t, 0.05, UNASKED))
    for sampler, t in ((Churn(s_max=40.0), 0.5), (Churn(s_min=8.0), 0.1)):
        assert not torch.equal(
            step(sampler, ask, x, t, 0.05, FixedNoise(Z[:, :1])), step(Heun(), ask, x, t, 0.05, UNASKED)
        )


@every_schedule
def test_the_ratio_grows_by_gamma_but_never_beyond_the_end(schedule):
    sampler, ask = Churn(gamma=0.3, s_min=0.0, s_max=1e9), known(schedule)
    t = ask.at(0.5)
    up = sampler.noisier(ask, t)
    # Bisection finds a time to 1e-16, and the steepest ratio here moves by 1e4 of itself a unit of time.
    close(up.sigma / up.alpha, 1.3 * t.sigma / t.alpha, rtol=1e-10)
    assert sampler.noisier(ask, ask.at(1.0)).t == 1
    assert 1 - 1e-4 < sampler.noisier(ask, ask.at(1 - 1e-4)).t <= 1


@smooth
def test_the_noising_keeps_the_marginal(schedule_name):
    # A step from t up to t̂ and down again to t̂ itself is the noising alone: Heun's step of no length.
    schedule = SCHEDULES[schedule_name]
    mean, variance = 0.5, 0.4
    ask = Question(ExactDenoiser(gaussian(number([mean]), number([[variance]])), schedule))
    sampler = Churn(gamma=0.2, s_min=0.0, s_max=1e9)
    t = ask.at(0.5)
    up = sampler.noisier(ask, t)
    m, v = t.alpha * mean, t.alpha**2 * variance + t.sigma**2
    m, v = after_step(ask, sampler, t.t, up.t, m, v)
    close(m, up.alpha * mean)
    close(v, up.alpha**2 * variance + up.sigma**2)


def test_on_exploding_levels_it_is_the_paper_s_algorithm_2():
    # Karras et al. 2022, algorithm 2, lines 4 to 11, in their variable sigma = 12·t.
    schedule, sampler, x = LinearVE(12.0), Churn(gamma=0.25, s_noise=1.01), randn(2, 3)
    denoise, z = exact(schedule), randn(2, 3, seed=1)
    t, s = 6.0, 4.8
    up = t * 1.25
    x_up = x + math.sqrt(up**2 - t**2) * 1.01 * z
    d = (x_up - denoise(x_up, denoise.at(up / 12)).x0) / up
    x_s = x_up + (s - up) * d
    d_s = (x_s - denoise(x_s, denoise.at(s / 12)).x0) / s
    truth = x_up + (s - up) * (0.5 * d + 0.5 * d_s)
    close(step(sampler, exact(schedule), x, t / 12, s / 12, FixedNoise(z)), truth)


@smooth
def test_churn_has_weak_order_2_when_its_total_is_fixed(schedule_name):
    # gamma = S_churn/N with S_churn = 3: in all, the ratio is raised by a factor e³ on the way.
    coarse, fine = (step_by_step_law(SCHEDULES[schedule_name], Churn(3 / k, 0.0, 1e9), k) for k in (60, 120))
    # The next term of the error is up to a seventh of the leading one at K = 60.
    has_order(2, coarse, fine, 0.15)


@pytest.mark.parametrize(
    "options",
    [
        {"gamma": -0.1},
        {"gamma": 0.42},
        {"gamma": math.nan},
        {"s_min": -1.0},
        {"s_min": 9.0, "s_max": 8.0},
        {"s_noise": 0.0},
    ],
)
def test_churn_has_its_bounds(options):
    with pytest.raises(ConfigError) as caught:
        Churn(**options)
    assert "\n" not in str(caught.value)


def test_churn_may_double_the_noise_and_no_more():
    assert Churn(gamma=math.sqrt(2) - 1).gamma < 0.41422


def test_two_evaluations_a_step_and_one_at_the_last():
    ask = exact(SCHEDULES["linear_vp"])
    counts = []
    for t, s in itertools.pairwise((0.9, 0.6, 0.3, 0.0)):
        step(Churn(s_min=0.0, s_max=1e9), ask, randn(2, 3), t, s, FixedNoise(number(0.5)))
        counts.append(ask.evaluations)
    assert counts == [2, 4, 5]

"""The noising process: one shot is the sum of its steps, and its posterior is Bayes' rule."""

import itertools
import math

import pytest
import torch

from sfumato.diffusion.process import (
    corrupt,
    drift_and_diffusion,
    marginal,
    posterior,
    posterior_scales,
    prior,
    transition,
)
from sfumato.diffusion.schedules import Betas, GeometricVE, LinearVE, LinearVP
from sfumato.verify.pieces import SCHEDULES, STEP_BETAS

from .helpers import close, number, rand, randn

every_schedule = pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)


@every_schedule
def test_one_shot_is_the_marginal_s_sample(schedule):
    x0, eps, t = randn(5, 2, 3), randn(5, 2, 3, seed=1), rand(5)
    level = schedule.level(t)
    truth = torch.stack([a * x + s * e for a, s, x, e in zip(level.alpha, level.sigma, x0, eps, strict=True)])
    close(corrupt(schedule, x0, eps, t), truth)
    close(marginal(schedule, x0, t).sample(eps), truth)


@every_schedule
@pytest.mark.parametrize("seed", range(5))
def test_one_shot_is_the_composition_of_steps(schedule, seed):
    # Steps may end at t = 1, where alpha is 0 for some, but none may start there.
    t = torch.cat([0.9 * rand(7, seed=seed) + 0.02, number([1.0])]).sort().values
    x0 = number([[1.7]])
    so_far = marginal(schedule, x0, t[0])
    mean, variance = so_far.mean, so_far.std**2
    for s, u in itertools.pairwise(t):
        step = transition(schedule, mean, s, u)
        factor = transition(schedule, number([[1.0]]), s, u).mean
        mean, variance = step.mean, factor**2 * variance + step.std**2
        truth = marginal(schedule, x0, u)
        close(mean, truth.mean)
        close(variance, truth.std**2)


@every_schedule
def test_a_step_of_no_length_does_nothing(schedule):
    step = transition(schedule, number([[1.7]]), 0.4, 0.4)
    close(step.mean, [[1.7]])
    # The variance is a difference of equal numbers of size sigma²: its root is at most 1e-7 of sigma.
    assert float(step.std) <= 1e-7 * float(schedule.level(0.4).sigma)


def normal_log_density(x, mean, std):
    return -0.5 * ((x - mean) / std) ** 2


@every_schedule
@pytest.mark.parametrize("seed", range(5))
def test_posterior_is_bayes_rule_on_a_grid(schedule, seed):
    s, t = (0.02 + 0.96 * rand(2, seed=seed)).sort().values
    at_s, at_t = schedule.level(s), schedule.level(t)
    x0 = number(0.7)
    x_t = at_t.alpha * x0 + at_t.sigma * randn(1, seed=seed)
    factor = at_t.alpha / at_s.alpha
    step = (at_t.sigma**2 - factor**2 * at_s.sigma**2).sqrt()
    # The posterior lives within a few widths of the narrower factor. The trapezoidal rule on a Gaussian
    # converges faster than any power, so 4,001 points over ±14 widths are exact to rounding; 1e-8 is asked.
    centres, widths = (x_t / factor, at_s.alpha * x0), (step / factor, at_s.sigma)
    narrow = int(widths[1] < widths[0])
    x_s = centres[narrow] + widths[narrow] * torch.linspace(-14, 14, 4001, dtype=torch.float64)
    log_density = normal_log_density(x_t, factor * x_s, step) + normal_log_density(
        x_s, at_s.alpha * x0, at_s.sigma
    )
    density = log_density.softmax(0)
    mean = (density * x_s).sum()
    std = (density * (x_s - mean) ** 2).sum().sqrt()
    truth = posterior(schedule, x0[None, None], x_t[None], s, t)
    close(truth.mean.squeeze(), mean, rtol=1e-8, atol=1e-8)
    close(truth.std.squeeze(), std, rtol=1e-8, atol=1e-8)


def test_posterior_of_single_steps_is_ddpm_s_in_both_forms():
    schedule, beta = Betas(STEP_BETAS), torch.tensor(STEP_BETAS, dtype=torch.float64)
    kept = (1 - beta).cumprod(0)
    now, before, b = kept[1:], kept[:-1], beta[1:]
    t = torch.arange(2, 11, dtype=torch.float64) / 10
    x0, eps = randn(9, 1), randn(9, 1, seed=1)
    x_t = corrupt(schedule, x0, eps, t)
    of = posterior(schedule, x0, x_t, t - 0.1, t)
    # Ho et al. 2020, equation 7, from x0 and x_t.
    from_x0 = (before.sqrt() * b / (1 - now))[:, None] * x0
    from_x_t = ((1 - b).sqrt() * (1 - before) / (1 - now))[:, None] * x_t
    close(of.mean, from_x0 + from_x_t)
    close(of.std.squeeze() ** 2, (1 - before) / (1 - now) * b)
    # Their equation 11, from eps and x_t.
    close(of.mean, (x_t - (b / (1 - now).sqrt())[:, None] * eps) / (1 - b).sqrt()[:, None])


@every_schedule
def test_posterior_at_a_step_to_the_clean_end_is_x0(schedule):
    of_x_t, of_x0, std = posterior_scales(schedule.level(0.0), schedule.level(0.5))
    if float(schedule.level(0.0).sigma) > 0:
        # A geometric schedule's clean end keeps sigma_min of noise.
        assert float(std) <= float(schedule.level(0.0).sigma)
    else:
        close(torch.stack([of_x_t, of_x0, std]), [0.0, 1.0, 0.0])


@every_schedule
def test_prior_is_pure_noise(schedule):
    like = randn(2, 3)
    pure = prior(schedule, like)
    assert torch.equal(pure.mean, torch.zeros_like(like))
    assert torch.equal(pure.std, torch.full_like(like, schedule.prior_std))


@every_schedule
def test_the_equation_integrates_back_to_the_transition(schedule):
    start, end, cells = 0.2, 0.8, 600
    edges = torch.linspace(start, end, cells + 1, dtype=torch.float64)
    h = (end - start) / cells
    # A list of steps has corners at multiples of 1/T, which are edges here: ask just inside each cell.
    inside = 1e-13
    times = torch.stack([edges[:-1] + inside, edges[:-1] + h / 2, edges[1:] - inside])
    drift, diffusion = drift_and_diffusion(schedule, times.flatten())
    f, g2 = drift.reshape(3, -1).T.tolist(), diffusion.square().reshape(3, -1).T.tolist()
    m, v = 1.0, 0.0
    for cell_f, cell_g2 in zip(f, g2, strict=True):
        m, v = runge_kutta(m, v, cell_f, cell_g2, h)
    step = transition(schedule, number([[1.0]]), start, end)
    # Runge–Kutta's error is about (f·h)^4 ≈ (10·1e-3)^4 = 1e-8 of the result at the steepest schedule.
    close(m, step.mean.squeeze(), rtol=1e-8)
    close(v, step.std.squeeze() ** 2, rtol=1e-8)


def runge_kutta(m, v, f, g2, h):
    """One classical step of dm/dt = f·m, dv/dt = 2 f·v + g², with f and g² at a cell's start, middle, end."""
    at = (0, 1, 1, 2)
    reach = (0.0, h / 2, h / 2, h)
    k = [(0.0, 0.0)]
    for i, length in zip(at, reach, strict=True):
        k.append((f[i] * (m + length * k[-1][0]), 2 * f[i] * (v + length * k[-1][1]) + g2[i]))
    weights = (0, 1 / 6, 1 / 3, 1 / 3, 1 / 6)
    return (
        m + h * math.fsum(w * slope[0] for w, slope in zip(weights, k, strict=True)),
        v + h * math.fsum(w * slope[1] for w, slope in zip(weights, k, strict=True)),
    )


def test_linear_vp_has_the_drift_of_its_beta():
    t = torch.linspace(0.01, 1, 20, dtype=torch.float64)
    beta = 0.1 + t * 19.9
    drift, diffusion = drift_and_diffusion(LinearVP(), t)
    close(drift, -beta / 2)
    close(diffusion, beta.sqrt())


@pytest.mark.parametrize("schedule", [GeometricVE(), LinearVE()], ids=["geometric", "linear"])
def test_exploding_has_no_drift_and_the_rate_of_its_variance(schedule):
    t = torch.linspace(0.01, 1, 20, dtype=torch.float64).requires_grad_()
    drift, diffusion = drift_and_diffusion(schedule, t)
    (rate,) = torch.autograd.grad(schedule.level(t).sigma.square().sum(), t)
    assert not bool(drift.any())
    close(diffusion**2, rate)

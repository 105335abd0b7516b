"""Orders of convergence on a Gaussian, whose probability-flow ODE has a closed solution.

In each axis of the covariance the flow is linear and keeps the standardised coordinate
(x_t − alpha_t m)/sqrt(alpha_t² λ + sigma_t²), because it carries the marginal at t to that at s:

    x_s = alpha_s m + Q diag( sqrt((alpha_s² λ + sigma_s²)/(alpha_t² λ + sigma_t²)) ) Qᵀ (x_t − alpha_t m)
"""

import math

import pytest
import torch

from sfumato.diffusion.exact import ExactDenoiser, gaussian
from sfumato.diffusion.grids import LogSNRGrid, UniformGrid
from sfumato.diffusion.samplers import DPMSolverPP2M, Euler, Heun, Posterior, Stochastic
from sfumato.verify.pieces import RANDOM, SAMPLERS, SCHEDULES, SMOOTH

from .helpers import COVARIANCE, MEAN, close, last_x, number, randn

ORDERS = {
    "ddim": (Stochastic(Posterior(0.0)), 1),
    "euler": (Euler(), 1),
    "heun": (Heun(), 2),
    "dpm_solver_pp_2m": (DPMSolverPP2M(), 2),
}
# Times at which levels are smooth and neither alpha nor sigma is near 0.
START, END = 0.9, 0.15


def flow(schedule, x_t, t, s):
    """The exact solution at s of the flow through x_t at t."""
    at_t, at_s = schedule.level(number(t)), schedule.level(number(s))
    variances, axes = torch.linalg.eigh(COVARIANCE)
    stretch = (at_s.alpha**2 * variances + at_s.sigma**2) / (at_t.alpha**2 * variances + at_t.sigma**2)
    return at_s.alpha * MEAN + (x_t - at_t.alpha * MEAN) @ axes * stretch.sqrt() @ axes.T


def error(schedule, sampler, times):
    at = schedule.level(times[0])
    x = at.alpha * MEAN + (at.alpha + at.sigma) * randn(4, 3)
    end = last_x(ExactDenoiser(gaussian(MEAN, COVARIANCE), schedule), sampler, x, times)
    return float((end - flow(schedule, x, times[0], times[-1])).norm())


def test_every_deterministic_sampler_has_an_order():
    deterministic = {name for name in SAMPLERS if name not in RANDOM}
    assert set(ORDERS) == deterministic


@pytest.mark.parametrize("schedule_name", SMOOTH)
@pytest.mark.parametrize("name", ORDERS)
def test_order(schedule_name, name):
    sampler, order = ORDERS[name]
    # With 150 and 300 steps the largest log-ratio step is about 0.1, so the next term of the error is a tenth
    # of the leading one and shifts the measured order by log2(1 + 0.1/2) = 0.07; rounding is far below.
    coarse, fine = (
        error(SCHEDULES[schedule_name], sampler, torch.linspace(START, END, k + 1, dtype=torch.float64))
        for k in (150, 300)
    )
    assert math.log2(coarse / fine) == pytest.approx(order, abs=0.15)


@pytest.mark.parametrize("schedule_name", SMOOTH)
def test_2m_keeps_its_order_on_uneven_steps(schedule_name):
    # Steps whose sizes alternate 2 : 1 stay uneven however many there are: h/(2 h_before) must be right.
    def times(k):
        sizes = torch.tensor([2.0, 1.0] * (k // 2), dtype=torch.float64)
        return START - (START - END) * torch.cat([torch.zeros(1), sizes.cumsum(0) / sizes.sum()])

    coarse, fine = (error(SCHEDULES[schedule_name], DPMSolverPP2M(), times(k)) for k in (200, 400))
    assert math.log2(coarse / fine) == pytest.approx(2, abs=0.15)


@pytest.mark.parametrize("name", ORDERS)
def test_one_step_from_the_noisiest_level_to_the_clean_end_is_the_estimate(name):
    # Euler on a straight path is exact for a fixed estimate, and so are the others.
    schedule = SCHEDULES["rectified_flow"]
    denoiser = ExactDenoiser(gaussian(MEAN, COVARIANCE), schedule)
    x = randn(4, 3)
    end = last_x(denoiser, ORDERS[name][0], x, UniformGrid().times(1, schedule))
    close(end, denoiser.estimate(x, number(1.0)).x0)


def test_2m_begins_as_ddim_and_after_pure_noise_too():
    schedule = SCHEDULES["cosine_vp"]
    denoiser = ExactDenoiser(gaussian(MEAN, COVARIANCE), schedule)
    # alpha is 0 at the first time, so lambda is infinite there: steps one and two are both DDIM's.
    times = LogSNRGrid().times(6, schedule)[:3]
    x = randn(4, 3)
    close(last_x(denoiser, DPMSolverPP2M(), x, times), last_x(denoiser, Stochastic(Posterior(0.0)), x, times))


def test_2m_is_exact_where_the_estimate_is_linear_in_lambda():
    # Algorithm 2 of Lu et al. 2022b, written out for one step with a memory.
    schedule = SCHEDULES["linear_vp"]
    denoiser = ExactDenoiser(gaussian(MEAN, COVARIANCE), schedule)
    times, x = number([0.8, 0.6, 0.5]), randn(4, 3)
    first, middle, last = (schedule.level(t) for t in times)
    lam = [0.5 * level.log_snr for level in (first, middle, last)]
    x0 = denoiser.estimate(x, times[0]).x0
    x_u = middle.sigma / first.sigma * x - middle.alpha * torch.expm1(-(lam[1] - lam[0])) * x0
    x0_u = denoiser.estimate(x_u, times[1]).x0
    h = lam[2] - lam[1]
    ratio = (lam[1] - lam[0]) / h
    d = (1 + 1 / (2 * ratio)) * x0_u - 1 / (2 * ratio) * x0
    truth = last.sigma / middle.sigma * x_u - last.alpha * torch.expm1(-h) * d
    close(last_x(denoiser, DPMSolverPP2M(), x, times), truth)

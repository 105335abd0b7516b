"""Orders of convergence on a Gaussian, whose probability-flow ODE has a closed solution.

In each axis of the covariance the flow is linear and keeps the standardised coordinate
(x_t − alpha_t m)/sqrt(alpha_t² λ + sigma_t²), because it carries the marginal at t to that at s:

    x_s = alpha_s m + Q diag( sqrt((alpha_s² λ + sigma_s²)/(alpha_t² λ + sigma_t²)) ) Qᵀ (x_t − alpha_t m)

A multistep solver begins with steps of lower order, and on equal steps the first alone would cost it its own:
a first step of order 1 leaves an error of h², however good the rest. So the grids here are graded: the first
step has the size h²/8, each next one twice that, until the size is h.
"""

import math

import pytest
import torch

from sfumato.diffusion.exact import ExactDenoiser, gaussian
from sfumato.diffusion.grids import LogSNRGrid, UniformGrid
from sfumato.diffusion.samplers import (
    AdamsBashforth,
    DPMSolverPP,
    Euler,
    Heun,
    Posterior,
    SDEDPMSolverPP2M,
    Stochastic,
    unipc,
    unipc_bh1,
)
from sfumato.verify.pieces import ADAPTIVE, RANDOM, SAMPLERS, SCHEDULES, SMOOTH

from .helpers import COVARIANCE, MEAN, close, last_x, number, randn

ORDERS = {
    "ddim": (Stochastic(Posterior(0.0)), 1),
    "euler": (Euler(), 1),
    "heun": (Heun(), 2),
    "dpm_solver_pp_2m": (DPMSolverPP(2), 2),
    "dpm_solver_pp_3m": (DPMSolverPP(3), 3),
    # A corrector raises the order by one: UniPC-p has p + 1 (Zhao et al. 2023, theorem 3.1).
    "unipc_1": (unipc(1), 2),
    "unipc_2": (unipc(2), 3),
    "unipc_3": (unipc(3), 4),
    "unipc_bh1": (unipc_bh1(2), 3),
    "adams_bashforth_2": (AdamsBashforth(2), 2),
    "adams_bashforth_3": (AdamsBashforth(3), 3),
    "adams_bashforth_4": (AdamsBashforth(4), 4),
}
MULTISTEP = [name for name in ORDERS if name not in ("ddim", "euler", "heun")]
# Times at which levels are smooth and neither alpha nor sigma is near 0.
START, END = 0.9, 0.3
# The next term of the error is of the relative size h·(order + 1), so higher orders need smaller steps to be
# measured within 0.15; at 400 steps of order 4 the error is 1e-8, far above rounding.
STEPS = {1: 60, 2: 60, 3: 100, 4: 200}


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


def graded(k, pattern=(1.0, 1.0)):
    """Times of `k` steps, sized by the repeated pattern and begun by doubling, and the size of a step."""
    doublings = round(math.log2(8 * k))
    sizes = [2.0**-doublings, *(2.0 ** (j - doublings) for j in range(doublings)), *(pattern * (k // 2))]
    ends = torch.tensor([0.0, *sizes], dtype=torch.float64).cumsum(0)
    return START - (START - END) * ends / ends[-1], 1 / float(ends[-1])


def measured_order(schedule, sampler, k, pattern=(1.0, 1.0)):
    (coarse, h_coarse), (fine, h_fine) = graded(k, pattern), graded(2 * k, pattern)
    ratio = error(schedule, sampler, coarse) / error(schedule, sampler, fine)
    return math.log(ratio) / math.log(h_coarse / h_fine)


def test_every_deterministic_sampler_has_an_order():
    deterministic = {name for name in SAMPLERS if name not in RANDOM + ADAPTIVE}
    assert set(ORDERS) - {"unipc_1"} == deterministic


@pytest.mark.parametrize("schedule_name", SMOOTH)
@pytest.mark.parametrize("name", ORDERS)
def test_order(schedule_name, name):
    sampler, order = ORDERS[name]
    assert measured_order(SCHEDULES[schedule_name], sampler, STEPS[order]) == pytest.approx(order, abs=0.15)


@pytest.mark.parametrize("schedule_name", ["linear_vp", "geometric_ve", "rectified_flow"])
@pytest.mark.parametrize("name", MULTISTEP)
def test_multistep_solvers_keep_their_order_on_uneven_steps(schedule_name, name):
    # Steps whose sizes alternate 2 : 1 stay uneven however many there are: no ratio of steps may be missing.
    sampler, order = ORDERS[name]
    uneven = measured_order(SCHEDULES[schedule_name], sampler, STEPS[order], (4 / 3, 2 / 3))
    assert uneven == pytest.approx(order, abs=0.15)


class Basis:
    """Noise whose i-th draw is 1 in row i + 2 of the batch and 0 elsewhere."""

    def __init__(self):
        self.draws = 0

    def normal(self, shape):
        self.draws += 1
        return (torch.arange(shape[0]) == self.draws + 1).double()[:, None].expand(*shape)


def law_of_chain(schedule, sampler, k, mean=0.5, variance=0.4):
    """Errors of the mean and variance at t = 0.1 of a chain from the true marginal at t = 0.9, in 1-D.

    On a Gaussian the chain is affine in its start and its draws, whatever it remembers, so one batch that
    holds 0, the start's unit and each draw's unit gives its exact law: a + b x + Σ_i c_i z_i.
    """
    times = torch.linspace(0.9, 0.1, k + 1, dtype=torch.float64)
    start, end = schedule.level(times[0]), schedule.level(times[-1])
    x = (torch.arange(k + 2) == 1).double()[:, None]
    denoiser = ExactDenoiser(gaussian(number([mean]), number([[variance]])), schedule)
    at_0, *slopes = last_x(denoiser, sampler, x, times, Basis()).flatten().tolist()
    b, c = slopes[0] - at_0, [slope - at_0 for slope in slopes[1:]]
    m = at_0 + b * float(start.alpha) * mean
    v = b**2 * float(start.alpha**2 * variance + start.sigma**2) + sum(one**2 for one in c)
    return abs(m - float(end.alpha) * mean), abs(v - float(end.alpha**2 * variance + end.sigma**2))


@pytest.mark.parametrize("schedule_name", SMOOTH)
def test_the_sde_form_of_2m_has_weak_order_2(schedule_name):
    coarse, fine = (law_of_chain(SCHEDULES[schedule_name], SDEDPMSolverPP2M(), k) for k in (100, 200))
    # A chain that starts with the true mean keeps it exactly; only the variance is approximate.
    assert fine[0] < 1e-12
    assert math.log2(coarse[1] / fine[1]) == pytest.approx(2, abs=0.15)


@pytest.mark.parametrize("name", ORDERS)
def test_one_step_from_the_noisiest_level_to_the_clean_end_is_the_estimate(name):
    # Euler on a straight path is exact for a fixed estimate, and so are the others.
    schedule = SCHEDULES["rectified_flow"]
    denoiser = ExactDenoiser(gaussian(MEAN, COVARIANCE), schedule)
    x = randn(4, 3)
    end = last_x(denoiser, ORDERS[name][0], x, UniformGrid().times(1, schedule))
    close(end, denoiser.estimate(x, number(1.0)).x0)


@pytest.mark.parametrize("name", MULTISTEP)
def test_multistep_solvers_begin_as_ddim_and_after_pure_noise_too(name):
    schedule = SCHEDULES["cosine_vp"]
    denoiser = ExactDenoiser(gaussian(MEAN, COVARIANCE), schedule)
    # alpha is 0 at the first time, where lambda and the ratio are infinite: steps one and two are DDIM's.
    times = LogSNRGrid().times(6, schedule)[:3]
    x = randn(4, 3)
    close(last_x(denoiser, ORDERS[name][0], x, times), last_x(denoiser, Stochastic(Posterior(0.0)), x, times))


def test_2m_is_algorithm_2():
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
    close(last_x(denoiser, DPMSolverPP(2), x, times), truth)

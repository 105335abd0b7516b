"""Multistep solvers are exact where the estimate is the polynomial that they take it for."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch

from sfumato.diffusion.level import expand
from sfumato.diffusion.prediction import Estimate
from sfumato.diffusion.samplers import (
    AdamsBashforth,
    DPMSolverPP,
    Posterior,
    Question,
    SDEDPMSolverPP2M,
    Stochastic,
    UniPC,
    dpm_2m,
    dpm_3m,
    unipc,
    unipc_bh1,
)
from sfumato.diffusion.samplers.exponential import bh1, bh2, exponential_moments, half_log_snr
from sfumato.diffusion.samplers.interpolation import remember, weights
from sfumato.errors import ConfigError
from sfumato.verify.pieces import SCHEDULES

from .helpers import FixedNoise, KnownDenoiser, close, number, randn

SCHEDULE = SCHEDULES["linear_vp"]
# No two steps are alike, and the last is the longest.
TIMES = [0.9, 0.85, 0.7, 0.62, 0.5, 0.2]
CUBIC = np.polynomial.Polynomial([0.3, -0.8, 0.5, 0.2])
Z = number([[1.1, -0.4]])


class Along:
    """A denoiser whose x0, or eps, is a polynomial in a number that depends on the level alone."""

    def __init__(self, polynomial, place, of="x0"):
        self.schedule, self.polynomial, self.place, self.of = SCHEDULE, polynomial, place, of

    def estimate(self, x_t, t, condition=None):
        level = self.schedule.level(t)
        alpha, sigma = expand(level.alpha, x_t), expand(level.sigma, x_t)
        known = torch.full_like(x_t, self.polynomial(self.place(float(level.alpha), float(level.sigma))))
        if self.of == "x0":
            return Estimate(known, (x_t - alpha * known) / sigma)
        return Estimate((x_t - sigma * known) / alpha, known)

    def evaluations(self, t, condition=None):
        return 1


def half_log(alpha, sigma):
    return math.log(alpha / sigma)


def walk(sampler, denoiser, x):
    """Every step's start, levels and result."""
    ask, memory, steps = Question(denoiser), None, []
    scales = [ask.at(t) for t in TIMES]
    for t, s in pairwise(scales):
        step = sampler.step(ask, x, t, s, FixedNoise(Z), memory)
        steps.append((x, t, s, step))
        x, memory = step.x, step.memory
    return steps


def exact_in_lambda(polynomial, x_t, t, s):
    """sigma_s/sigma_t·x_t + sigma_s ∫ e^l P(l) dl, by the antiderivative e^l (P − P′ + P″ − P‴)."""
    whole = polynomial - polynomial.deriv() + polynomial.deriv(2) - polynomial.deriv(3)
    ends = [math.exp(half_log_snr(at)) * whole(half_log_snr(at)) for at in (t, s)]
    return s.sigma / t.sigma * x_t + s.sigma * (ends[1] - ends[0])


@pytest.mark.parametrize("n", [1, 2, 3, 4])
@pytest.mark.parametrize("h", [0.4, -0.4])
def test_the_correction_integrates_polynomials(n, h):
    polynomial = np.polynomial.Polynomial([0.7, -0.3, 0.5, 0.9][:n])
    places = [1.0, 1.3, 0.4, 2.0][:n]
    values = [polynomial(place) for place in places]
    moments = [1 / (k + 1) for k in range(1, n)]
    integral = polynomial.integ()(1.0 + h) - polynomial.integ()(1.0)
    correction = sum(c * f for c, f in zip(weights(places, h, moments), values, strict=True))
    assert h * (values[0] + correction) == pytest.approx(integral, rel=1e-12)


@pytest.mark.parametrize("h", [1e-9, 1e-3, 0.3, 0.999, 1.001, 3.0, 14.0])
def test_the_moments_are_their_integrals(h):
    # 60 nodes of Gauss–Legendre integrate e^{−14(1−u)} u³ to rounding; the recursion may lose a digit or two.
    nodes, weights = np.polynomial.legendre.leggauss(60)
    u = (nodes + 1) / 2
    truth = [float((weights / 2 * np.exp(-h * (1 - u)) * u**k).sum()) for k in (1, 2, 3)]
    close(number(exponential_moments(h, 3)), number(truth), rtol=1e-13, atol=0)


def test_lambda_is_infinite_at_the_ends():
    ask = Question(KnownDenoiser(SCHEDULES["rectified_flow"], Z))
    assert [half_log_snr(ask.at(t)) for t in (1.0, 0.5, 0.0)] == [-math.inf, 0.0, math.inf]


def test_the_newest_points_are_remembered():
    assert remember("new", ("a", "b"), 2) == ("new", "a")
    assert remember("new", (), 2) == ("new",)


def test_3m_is_exact_where_the_estimate_is_a_parabola_in_lambda():
    parabola = CUBIC.cutdeg(2)
    steps = walk(DPMSolverPP(3), Along(parabola, half_log), randn(2, 2))
    for x_t, t, s, step in steps[2:]:
        close(step.x, exact_in_lambda(parabola, x_t, t, s), rtol=1e-9, atol=1e-9)
    assert len(steps[-1][3].memory) == 3


@pytest.mark.parametrize("make", [unipc, unipc_bh1])
@pytest.mark.parametrize("order", [2, 3])
def test_unipc_corrects_exactly_where_the_estimate_is_a_polynomial_of_its_order(make, order):
    polynomial = CUBIC.cutdeg(order)
    steps = walk(make(order), Along(polynomial, half_log), randn(2, 2))
    memories = [step.memory for *_, step in steps]
    for before, after in list(pairwise(memories))[order - 1 :]:
        exact = exact_in_lambda(polynomial, before.x, before.level, after.level)
        close(after.x, exact, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("make", [unipc, unipc_bh1])
def test_unipc_predicts_exactly_at_order_3_and_by_its_scale_at_order_2(make):
    parabola = CUBIC.cutdeg(2)
    for x_t, _, s, step in walk(make(3), Along(parabola, half_log), randn(2, 2))[2:]:
        known = step.memory
        close(step.x, exact_in_lambda(parabola, known.x, known.level, s), rtol=1e-9, atol=1e-9)
        assert not torch.equal(known.x, x_t)
    _, t, s, step = walk(make(2), Along(CUBIC, half_log), randn(2, 2))[1]
    (place, now), (place_before, before) = step.memory.points
    h, r = half_log_snr(s) - place, (place - place_before) / (half_log_snr(s) - place)
    big_b = {unipc: 1 - math.exp(-h), unipc_bh1: h}[make]
    # Zhao et al. 2023, algorithm 6 with a_1 = ½, in the signs of data prediction.
    truth = s.sigma / t.sigma * step.memory.x + s.alpha * (1 - math.exp(-h)) * now
    close(step.x, truth + s.alpha * big_b * 0.5 * (now - before) / r)


@pytest.mark.parametrize("order", [1, 4])
def test_dpm_solver_pp_needs_an_order_it_has(order):
    with pytest.raises(ConfigError, match=f"2 or 3, not {order}"):
        DPMSolverPP(order)


def test_unipc_needs_an_order_it_has():
    with pytest.raises(ConfigError, match="1, 2 or 3, not 4"):
        UniPC(4)


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_adams_bashforth_is_exact_where_the_noise_is_a_polynomial_in_the_ratio(order):
    # In units of the first ratio, or the cubic would be large.
    unit = float(SCHEDULE.level(0.9).sigma / SCHEDULE.level(0.9).alpha)
    slopes = CUBIC.cutdeg(order - 1)
    denoiser = Along(slopes, lambda alpha, sigma: sigma / alpha / unit, "eps")
    for x_t, t, s, step in walk(AdamsBashforth(order), denoiser, randn(2, 2))[order - 1 :]:
        ends = [unit * slopes.integ()(at.sigma / at.alpha / unit) for at in (t, s)]
        close(step.x, s.alpha * (x_t / t.alpha + ends[1] - ends[0]), rtol=1e-9, atol=1e-9)


def test_adams_bashforth_of_order_1_is_ddim():
    one, other = (
        walk(sampler, Along(CUBIC, half_log), randn(2, 2))
        for sampler in (AdamsBashforth(1), Stochastic(Posterior(0.0)))
    )
    for (*_, step), (*_, truth) in zip(one, other, strict=True):
        close(step.x, truth.x)


def test_the_defaults_are_the_orders_that_are_safe_with_few_steps():
    assert UniPC() == unipc() == unipc(2) == UniPC(2, bh2)
    assert unipc_bh1() == unipc_bh1(2) == UniPC(2, bh1)
    assert AdamsBashforth() == AdamsBashforth(3)
    assert DPMSolverPP() == dpm_2m() == DPMSolverPP(2)
    assert dpm_3m() == DPMSolverPP(3)


def test_adams_bashforth_needs_an_order_it_has():
    with pytest.raises(ConfigError, match="1, 2, 3 or 4, not 5"):
        AdamsBashforth(5)


def test_sde_2m_is_the_solution_of_the_reverse_sde_for_the_extrapolated_estimate():
    steps = walk(SDEDPMSolverPP2M(), Along(CUBIC, half_log), randn(2, 2))
    place, before = None, None
    for x_t, t, s, step in steps:
        d, place_before, place = step.x0, place, half_log_snr(t)
        h = half_log_snr(s) - place
        if before is not None:
            d = step.x0 + h / (2 * (place - place_before)) * (step.x0 - before)
        # Lu et al. 2022b, SDE-DPM-Solver++(2M).
        mean = s.sigma / t.sigma * math.exp(-h) * x_t + s.alpha * (1 - math.exp(-2 * h)) * d
        close(step.x, mean + s.sigma * math.sqrt(1 - math.exp(-2 * h)) * Z)
        before = step.x0


def test_sde_2m_begins_as_ddpm_and_draws_nothing_at_the_clean_end():
    x0 = number([[0.3, -0.8]])
    ask, x_t = Question(KnownDenoiser(SCHEDULES["rectified_flow"], x0)), randn(1, 2)
    sampler, ancestral = SDEDPMSolverPP2M(), Stochastic(Posterior(1.0))
    t, s, clean = ask.at(1.0), ask.at(0.6), ask.at(0.0)
    first = sampler.step(ask, x_t, t, s, FixedNoise(Z), None)
    close(first.x, ancestral.step(ask, x_t, t, s, FixedNoise(Z), None).x)
    close(sampler.step(ask, first.x, s, clean, None, first.memory).x, x0)

"""The truths that samplers are compared with are true."""

import itertools
import math

import pytest
import torch

from sfumato.diffusion.denoiser import NetworkDenoiser
from sfumato.diffusion.exact import ExactDenoiser
from sfumato.diffusion.samplers import Euler, Heun, Posterior, Stochastic
from sfumato.verify.law import as_double
from sfumato.verify.oracle import COVARIANCE, GAUSSIAN, MEAN, MIXTURE, OracleNetwork, randn
from sfumato.verify.pieces import PAIRS, SAMPLERS, SCHEDULES, pair
from sfumato.verify.samplers import gaussian_flow, graded, smooth_stretch
from sfumato.verify.walks import angle, flow, law_of_walk, plane, steps_within, walk


@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
def test_the_fine_solution_is_the_closed_one_on_a_gaussian(schedule):
    x, (t, s) = schedule.prior_std * randn(5, 3), as_double([1.0, 0.1])
    closed = gaussian_flow(schedule, x, t, s)
    # Runge–Kutta of order 4 in 400 steps of at most 0.04 in log(sigma/alpha).
    torch.testing.assert_close(
        flow(GAUSSIAN, x, schedule.level(t), schedule.level(s)), closed, rtol=1e-6, atol=1e-6
    )


def test_the_fine_solution_converges_on_the_mixture():
    start, end = plane(as_double(math.pi / 2)), plane(as_double(0.001))
    x = randn(16, 2)
    coarse, fine, finest = (flow(MIXTURE, x, start, end, steps) for steps in (100, 200, 400))
    # Each halving of order 4 takes 15/16 of the error away.
    assert float((coarse - fine).norm() / (fine - finest).norm()) == pytest.approx(16, rel=0.4)


def test_angles_are_those_of_the_levels():
    theta = as_double([0.0, 0.3, math.pi / 2])
    torch.testing.assert_close(angle(plane(theta)), theta)


def test_the_law_of_a_walk_is_that_of_its_samples():
    # DDPM on N(m, v): each step is x_s = a x_t + b z with (a, b) from the posterior, composed by hand.
    schedule, (m, v) = SCHEDULES["linear_vp"], (0.5, 0.4)
    times = as_double([0.9, 0.6, 0.35, 0.1])
    mean, variance = 0.2, 1.3
    for t, s in itertools.pairwise(times):
        at, to = schedule.level(t), schedule.level(s)
        gain = at.alpha * v / (at.alpha**2 * v + at.sigma**2)
        kept = at.alpha / to.alpha
        noise = at.sigma**2 - kept**2 * to.sigma**2
        of_x_t, of_x0 = kept * to.sigma**2 / at.sigma**2, to.alpha * noise / at.sigma**2
        factor = of_x_t + of_x0 * gain
        mean = factor * mean + of_x0 * (m - gain * at.alpha * m)
        variance = factor**2 * variance + noise * to.sigma**2 / at.sigma**2
    found = law_of_walk(Stochastic(Posterior(1.0)), schedule, times, (m, v), (0.2, 1.3))
    assert found == (pytest.approx(float(mean)), pytest.approx(float(variance)), 3)


@pytest.mark.parametrize("count", [1, 5, 8, 10, 50])
def test_steps_within_a_count_of_evaluations(count):
    schedule = SCHEDULES["cosine_vp"]
    for sampler, cost in ((Euler(), lambda k: k), (Heun(), lambda k: 2 * k - 1)):
        steps = steps_within(sampler, schedule, count)
        assert cost(steps) <= count < cost(steps + 1)


def test_graded_steps_double_up_to_the_full_one():
    times = graded(10, 0.9, 0.1)
    sizes = -times.diff()
    assert float(times[0]) == 0.9
    assert float(times[-1]) == pytest.approx(0.1)
    assert float(sizes[0]) == pytest.approx(0.08 / 4096)
    torch.testing.assert_close(sizes[-9:], torch.full((9,), 0.08, dtype=torch.float64))
    assert float((sizes[1:] / sizes[:-1]).max()) < 2.01


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_smooth_stretch_has_no_corner(name):
    start, end = smooth_stretch(name)
    times = torch.linspace(start, end, 101, dtype=torch.float64)
    slopes = SCHEDULES[name].level(times).d_sigma
    # A corner is a jump: no change from point to point is much larger than the others.
    change = slopes.diff().abs()
    assert float(change.max()) <= 3 * float(change.median()) + 1e-9


@pytest.mark.parametrize(("schedule_name", "prediction_name"), PAIRS)
def test_the_oracle_network_knows_times_it_was_not_told(schedule_name, prediction_name):
    schedule, prediction = pair(schedule_name, prediction_name)
    network = OracleNetwork(MIXTURE, schedule, prediction, as_double([1.0, 0.5]))
    denoiser, exact = NetworkDenoiser(network, schedule, prediction), ExactDenoiser(MIXTURE, schedule)
    for t in as_double([0.5, 0.5137, 0.9631]):
        x = randn(4, 2)
        value, truth = denoiser.estimate(x, t), exact.estimate(x, t)
        # The level fixes the time to 1e-15, and the solve may lose four digits.
        torch.testing.assert_close(value.x0, truth.x0, rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(value.eps, truth.eps, rtol=1e-9, atol=1e-9)


def test_a_walk_ends_with_its_last_frame():
    schedule = SCHEDULES["rectified_flow"]
    times = as_double([1.0, 0.5, 0.0])
    last = walk(ExactDenoiser(MIXTURE, schedule), SAMPLERS["euler"], randn(2, 2), times)
    assert (last.index, last.steps, last.t, last.evaluations) == (2, 2, 0.0, 2)
    assert MEAN.shape == COVARIANCE.shape[:1]

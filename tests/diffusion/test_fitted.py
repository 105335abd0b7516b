"""Fitted grids: the search finds what is known to be best, and holds what it promises on other starts."""

import math

import pytest
import torch

from sfumato.diffusion.exact import ExactDenoiser, GaussianMixture, gaussian
from sfumato.diffusion.fitting import STARTS, Layout, fine_ends, fit_grid, walk
from sfumato.diffusion.grids import FittedGrid, LogSNRGrid, RhoGrid, UniformGrid
from sfumato.diffusion.least_squares import mean_log_error, minimise
from sfumato.diffusion.samplers import DPMSolverPP, Heun, ancestral, ddim, unipc
from sfumato.diffusion.schedules import Betas, LinearVE
from sfumato.errors import ConfigError
from sfumato.verify.pieces import SCHEDULES

from .helpers import COVARIANCE, MEAN, close, number, randn

TWO = GaussianMixture.of(
    number([0.4, 0.6]), torch.stack([MEAN, -MEAN]), torch.stack([COVARIANCE, 0.3 * COVARIANCE])
)


def test_a_fitted_grid_is_its_times():
    at = (1.0, 0.4, 0.1, 0.0)
    assert FittedGrid(at).times(3, SCHEDULES["linear_vp"]).tolist() == list(at)


def test_a_fitted_grid_refuses_another_number_of_steps_and_names_the_command():
    with pytest.raises(ConfigError, match="fitted for 3 steps, not 8: 'sfumato fit-grid RUN --steps 8'"):
        FittedGrid((1.0, 0.4, 0.1, 0.0)).times(8, SCHEDULES["linear_vp"])


@pytest.mark.parametrize(
    ("at", "reason"),
    [((1.0, 0.5, 0.5, 0.0), "fall strictly"), ((0.9, 0.5, 0.0), "from 1 to 0"), ((1.0, 0.5), "from 1 to 0")],
)
def test_a_fitted_grid_that_is_none_is_refused(at, reason):
    with pytest.raises(ConfigError, match=reason):
        FittedGrid(at)


@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
def test_the_parameters_of_a_grid_give_it_back(schedule):
    layout = Layout(schedule, 5)
    p = number([-1.2, -0.4, -2.0, -1.0])
    close(layout.parameters(layout.place(p)), p + math.log(0.97), rtol=1e-6, atol=1e-6)
    for grid in STARTS:
        times = layout.place(layout.parameters(grid.times(5, schedule)))
        assert bool((times[1:] < times[:-1]).all())


def test_no_parameters_lead_past_the_cleanest_level():
    schedule = LinearVE()
    times = Layout(schedule, 4).place(number([3.0, 2.0, 5.0]))
    assert float(times[-2]) == pytest.approx(schedule.t_min)


def test_minimise_finds_the_least_mean_of_logarithms():
    # r_b = |p − c_b| in one dimension: the mean of logarithms of distances falls to the nearest point with
    # most weight, and the two equal points outweigh the far one, which a plain least squares would follow.
    centres = number([[1.0, 2.0], [1.0, 2.0], [9.0, -7.0]])
    best = minimise(lambda p: (p - centres) + 1e-6, number([0.0, 0.0]), 200)
    # The two rows are 1e-6 off their centre by construction; a step that wins less than ENOUGH is the last.
    close(best, [1.0, 2.0], atol=1e-2)


def test_minimise_never_makes_it_worse_and_keeps_its_budget():
    calls = []

    def residuals(p):
        calls.append(p)
        return torch.stack([p.sin() + 2, p.cos() + 2])

    start = number([0.3, -0.8, 1.0])
    best = minimise(residuals, start, 30)
    assert mean_log_error(residuals(best)) < mean_log_error(residuals(start))
    assert len(calls) <= 30 + 2


def test_the_middle_of_two_steps_is_where_a_scan_finds_it():
    # With two steps there is one free number, so that all grids can be tried.
    denoiser, sampler = ExactDenoiser(gaussian(MEAN, COVARIANCE), LinearVE()), ddim()
    x = 80 * randn(8, 3)
    ends = fine_ends(denoiser, x)
    layout = Layout(denoiser.schedule, 2)

    def loss(p):
        return mean_log_error(walk(denoiser, sampler, x, layout.place(number([p])), None) - ends)

    gaps = torch.linspace(1.0, 10.0, 60).log().tolist()
    best = min(gaps, key=loss)
    fitted = fit_grid(denoiser, sampler, 2, x, reference=ends, budget=60)
    found = float(layout.parameters(fitted.times(2, denoiser.schedule))[0]) - math.log(0.97)
    # The scan's spacing is 0.15 of a gap of about 5; a search that wins less than ENOUGH has ended.
    assert loss(found) <= loss(best) + 1e-3
    assert found == pytest.approx(best, abs=0.05)


@pytest.mark.parametrize(
    ("name", "sampler", "most"),
    [
        ("linear_ve", ddim(), 0.6),
        ("linear_ve", unipc(2), 0.6),
        ("cosine_vp", Heun(), 0.4),
        ("cosine_vp", DPMSolverPP(2), 0.7),
    ],
    ids=["ddim", "unipc", "heun", "2m"],
)
def test_a_fitted_grid_beats_the_others_on_other_starts(name, sampler, most):
    denoiser = ExactDenoiser(TWO, SCHEDULES[name])
    schedule, steps = denoiser.schedule, 5
    x, others = (schedule.prior_std * randn(24, 3, seed=seed) for seed in (1, 2))
    fitted, ends = fit_grid(denoiser, sampler, steps, x, budget=120), fine_ends(denoiser, others)

    def error(grid):
        return float(
            (walk(denoiser, sampler, others, grid.times(steps, schedule)) - ends).norm(dim=1).median()
        )

    # Measured at the full budget: 0.49, 0.24, 0.20 and 0.51; the rest is for the shorter search.
    assert error(fitted) < most * min(error(grid) for grid in (RhoGrid(), LogSNRGrid(), UniformGrid()))


def test_the_fine_ends_are_the_ends_of_the_flow():
    # In each axis of a Gaussian the flow keeps the standardised coordinate.
    schedule = LinearVE()
    denoiser, x = ExactDenoiser(gaussian(MEAN, COVARIANCE), schedule), 80 * randn(4, 3)
    variances, axes = torch.linalg.eigh(COVARIANCE)
    truth = MEAN + (x - MEAN) @ axes * (variances / (variances + 80**2)).sqrt() @ axes.T
    # 200 steps of 0.05 in log sigma: 0.05⁴ = 6e-6 of an error of order 1.
    close(fine_ends(denoiser, x), truth, rtol=1e-5, atol=1e-5)


def test_one_step_leaves_nothing_to_fit():
    for schedule in (SCHEDULES["linear_vp"], Betas((0.5,))):
        denoiser, x = ExactDenoiser(gaussian(MEAN, COVARIANCE), schedule), randn(4, 3)
        assert fit_grid(denoiser, ddim(), 1, x, reference=x).at == (1.0, 0.0)


def test_a_sampler_that_draws_noise_is_refused():
    denoiser = ExactDenoiser(gaussian(MEAN, COVARIANCE), SCHEDULES["linear_vp"])
    with pytest.raises(ConfigError, match=r"draws noise.*such as unipc"):
        fit_grid(denoiser, ancestral(), 4, randn(4, 3))


def test_progress_goes_from_the_first_walk_to_the_whole_budget():
    denoiser, told = ExactDenoiser(gaussian(MEAN, COVARIANCE), SCHEDULES["linear_vp"]), []
    fit_grid(denoiser, ddim(), 3, randn(4, 3), budget=60, progress=lambda *seen: told.append(seen))
    assert told[0] == (1, 60)
    assert told[-1] == (60, 60)
    assert told == sorted(told)

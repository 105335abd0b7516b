"""Sampling grids: all fall from noise to clean, each by its own rule."""

import math

import pytest
import torch

from sfumato.diffusion.grids import (
    NOISIEST_RATIO,
    LeadingGrid,
    LinspacedGrid,
    LogSNRGrid,
    QuadraticGrid,
    RhoGrid,
    TrailingGrid,
    UniformGrid,
    check_grid,
)
from sfumato.diffusion.schedules import Betas, ConstantAlpha, LinearVE
from sfumato.errors import ConfigError
from sfumato.verify.pieces import GRIDS, NO_SIGNAL_AT_ONE, SCHEDULES

from .helpers import close, number

ANY_STEPS = {name: grid for name, grid in GRIDS.items() if name != "fitted"}
every_grid = pytest.mark.parametrize("grid", ANY_STEPS.values(), ids=ANY_STEPS)
every_schedule = pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)


@every_grid
@every_schedule
@pytest.mark.parametrize("steps", [1, 2, 5, 18, 50])
def test_every_grid_falls_from_1_to_0(grid, schedule, steps):
    times = grid.times(steps, schedule)
    assert times.dtype == torch.float64
    assert len(times) == steps + 1
    # Leading spacing is known for not visiting the noisiest level.
    assert (float(times[0]) == 1) == (not isinstance(grid, LeadingGrid))
    assert float(times[-1]) == 0
    assert bool((times[1:] < times[:-1]).all())


@every_grid
@pytest.mark.parametrize("steps", [0, -3])
def test_no_steps_are_refused(grid, steps):
    with pytest.raises(ConfigError, match="at least 1 step"):
        grid.times(steps, SCHEDULES["linear_vp"])


def test_uniform_grid_is_equal_steps_of_time():
    close(UniformGrid().times(5, SCHEDULES["cosine_vp"]), [1, 0.8, 0.6, 0.4, 0.2, 0])


def test_quadratic_grid_is_equal_steps_of_the_root_of_time():
    close(QuadraticGrid().times(4, SCHEDULES["cosine_vp"]), [1, 9 / 16, 4 / 16, 1 / 16, 0])


TABLES = {
    # T = 1000; computed by hand from the definitions, k -> t = (k + 1)/1000.
    (TrailingGrid(), 10): [1000, 900, 800, 700, 600, 500, 400, 300, 200, 100],
    (TrailingGrid(), 7): [1000, 857, 714, 571, 429, 286, 143],
    (LinspacedGrid(), 10): [1000, 889, 778, 667, 556, 445, 334, 223, 112, 1],
    (LinspacedGrid(), 7): [1000, 833, 667, 501, 334, 167, 1],
    (LeadingGrid(), 10): [901, 801, 701, 601, 501, 401, 301, 201, 101, 1],
    (LeadingGrid(), 7): [853, 711, 569, 427, 285, 143, 1],
}


@pytest.mark.parametrize(("grid", "steps"), TABLES, ids=str)
def test_spacings_of_a_chain_of_1000(grid, steps):
    times = grid.times(steps, SCHEDULES["linear_vp"])
    assert times.tolist() == [k / 1000 for k in TABLES[grid, steps]] + [0]


@pytest.mark.parametrize("of", [1000, 50, 37])
@pytest.mark.parametrize("steps", [7, 10, 20, 37])
def test_spacings_are_those_of_diffusers(of, steps):
    from diffusers import DDIMScheduler

    for spacing, grid in {
        "trailing": TrailingGrid(of),
        "linspace": LinspacedGrid(of),
        "leading": LeadingGrid(of),
    }.items():
        scheduler = DDIMScheduler(num_train_timesteps=of, timestep_spacing=spacing, steps_offset=0)
        scheduler.set_timesteps(steps)
        times = grid.times(steps, SCHEDULES["linear_vp"])
        close(times[:-1], (scheduler.timesteps.double() + 1) / of)


@pytest.mark.parametrize("grid", [TrailingGrid(50), LinspacedGrid(50), LeadingGrid(50)], ids=str)
def test_all_steps_of_a_chain_are_the_chain(grid):
    assert grid.times(50, SCHEDULES["linear_vp"]).tolist() == [k / 50 for k in range(50, -1, -1)]
    with pytest.raises(ConfigError, match="cannot be sampled in 51"):
        grid.times(51, SCHEDULES["linear_vp"])


@pytest.mark.parametrize("grid", [TrailingGrid, LinspacedGrid, LeadingGrid])
def test_a_chain_of_no_steps_is_refused(grid):
    with pytest.raises(ConfigError, match="at least 1 step"):
        grid(0)


@pytest.mark.parametrize("schedule", [Betas((0.5,)), ConstantAlpha(0.5, 1)], ids=str)
@pytest.mark.parametrize("grid", [LogSNRGrid(), RhoGrid()], ids=str)
def test_one_level_has_no_room_for_more_steps(schedule, grid):
    assert grid.times(1, schedule).tolist() == [1, 0]
    with pytest.raises(ConfigError, match=r"one level only.*use 1 step, or the grid 'uniform'"):
        grid.times(3, schedule)


def log_ratios(schedule, times):
    level = schedule.level(times)
    return (level.sigma / level.alpha).log()


def noisiest(schedule):
    """log(sigma/alpha) at t = 1, or of the largest ratio a grid knows."""
    level = schedule.level(number(1.0))
    return min(math.log(NOISIEST_RATIO), float((level.sigma / level.alpha).log()))


def cleanest(schedule):
    """log(sigma/alpha) at t_min; a schedule whose t_min is 0 is asked just before it ends there."""
    return float(log_ratios(schedule, number(schedule.t_min or 1e-3)))


@every_schedule
def test_log_snr_grid_is_equal_steps_of_lambda(schedule):
    times = LogSNRGrid().times(9, schedule)
    truth = torch.linspace(noisiest(schedule), cleanest(schedule), 9, dtype=torch.float64)
    # The first time is 1 itself, where lambda may be infinite. Bisection finds t to 1e-16, which is 1e-11 of
    # the smallest t here.
    close(log_ratios(schedule, times[1:-1]), truth[1:], rtol=1e-9, atol=1e-9)
    close(times[-2], schedule.t_min or 1e-3)


@pytest.mark.parametrize("steps", [2, 18])
def test_rho_grid_is_karras_equation_5(steps):
    low, high, rho = 0.002, 80.0, 7
    sigmas = [
        (high ** (1 / rho) + i / (steps - 1) * (low ** (1 / rho) - high ** (1 / rho))) ** rho
        for i in range(steps)
    ]
    close(RhoGrid().times(steps, LinearVE()) * 80, [*sigmas, 0])


@every_schedule
@pytest.mark.parametrize("ratio_min", [0.02, 1e-9])
def test_rho_grid_is_equal_steps_of_a_power_on_every_schedule(schedule, ratio_min):
    times = RhoGrid(3.0, ratio_min).times(6, schedule)
    first = math.exp(noisiest(schedule) / 3)
    last = math.exp(max(cleanest(schedule), math.log(ratio_min)) / 3)
    truth = 3 * torch.linspace(first, last, 6, dtype=torch.float64).log()
    close(log_ratios(schedule, times[1:-1]), truth[1:], rtol=1e-9, atol=1e-9)


def test_grids_pass_over_levels_of_almost_no_signal():
    for name in NO_SIGNAL_AT_ONE:
        for grid in (LogSNRGrid(), RhoGrid()):
            times = grid.times(40, SCHEDULES[name])
            assert bool((log_ratios(SCHEDULES[name], times[1:-1]) < math.log(1e3)).all())


@pytest.mark.parametrize(("rho", "ratio_min"), [(0.0, 0.002), (-1.0, 0.002), (7.0, 0.0), (7.0, -1.0)])
def test_rho_grid_refuses_what_has_no_power(rho, ratio_min):
    with pytest.raises(ConfigError, match="above 0"):
        RhoGrid(rho, ratio_min)


def test_check_grid_hands_good_times_back():
    times = number([0.9, 0.4, 0.1])
    assert check_grid(times) is times
    assert check_grid(number([1.0, 0.0])).tolist() == [1.0, 0.0]


@pytest.mark.parametrize("times", [[], [1.0], [0.2, 0.8], [1.0, 0.5, 0.5, 0.0], [1.0, math.nan, 0.0]])
def test_check_grid_refuses_what_does_not_fall(times):
    with pytest.raises(ConfigError, match="fall strictly"):
        check_grid(number(times))


@pytest.mark.parametrize("times", [[1.001, 0.0], [1.0, -0.001]])
def test_check_grid_refuses_what_leaves_the_unit_interval(times):
    with pytest.raises(ConfigError, match="between 0 and 1"):
        check_grid(number(times))

"""Sampling grids: all fall from pure noise to clean, each by its own rule."""

import math

import pytest
import torch

from sfumato.diffusion.grids import NOISIEST_RATIO, LogSNRGrid, RhoGrid, UniformGrid, check_grid
from sfumato.diffusion.schedules import LinearVE
from sfumato.errors import ConfigError
from sfumato.verify.pieces import GRIDS, NO_SIGNAL_AT_ONE, SCHEDULES

from .helpers import close, number

every_grid = pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
every_schedule = pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)


@every_grid
@every_schedule
@pytest.mark.parametrize("steps", [1, 2, 5, 18, 50])
def test_every_grid_falls_from_1_to_0(grid, schedule, steps):
    times = grid.times(steps, schedule)
    assert times.dtype == torch.float64
    assert len(times) == steps + 1
    assert float(times[0]) == 1
    assert float(times[-1]) == 0
    assert bool((times[1:] < times[:-1]).all())


@every_grid
@pytest.mark.parametrize("steps", [0, -3])
def test_no_steps_are_refused(grid, steps):
    with pytest.raises(ConfigError, match="at least 1 step"):
        grid.times(steps, SCHEDULES["linear_vp"])


def test_uniform_grid_is_equal_steps_of_time():
    close(UniformGrid().times(5, SCHEDULES["cosine_vp"]), [1, 0.8, 0.6, 0.4, 0.2, 0])


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

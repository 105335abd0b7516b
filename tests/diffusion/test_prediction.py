"""A prediction is a row, and the solve inverts it wherever `check` lets it be built."""

import pytest
import torch

from sfumato.diffusion.level import expand
from sfumato.diffusion.prediction import (
    EDM,
    LARGEST_AMPLIFICATION,
    Data,
    Noise,
    Score,
    V,
    Velocity,
    amplification,
    check,
    solve,
)
from sfumato.diffusion.process import corrupt, marginal
from sfumato.diffusion.schedules import ConstantAlpha, LinearVE, RectifiedFlow
from sfumato.errors import ConfigError
from sfumato.verify.pieces import PAIRS, REFUSED, SCHEDULES, pair

from .helpers import asked_times, close, rand, randn

every_schedule = pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)


def batch(schedule, n=200):
    """Many levels, both ends among them, with a clean sample and a noise for each."""
    t = torch.cat([asked_times(schedule), schedule.t_min + (1 - schedule.t_min) * rand(n)])
    t = t.clamp(min=max(schedule.t_min, 1e-3))
    return t, schedule.level(t), randn(len(t), 2, 3), randn(len(t), 2, 3, seed=1)


@pytest.mark.parametrize(("schedule_name", "prediction_name"), PAIRS)
def test_the_solve_inverts_the_row(schedule_name, prediction_name):
    schedule, prediction = pair(schedule_name, prediction_name)
    check(prediction, schedule)
    t, level, x0, eps = batch(schedule)
    row = prediction.row(level)
    estimate = solve(row, level, corrupt(schedule, x0, eps, t), row.of(x0, eps))
    # Float64 rounding, 1e-16, times the amplification, which `check` holds below 1e4: far below 1e-10.
    close(estimate.x0, x0)
    close(estimate.eps, eps)


@pytest.mark.parametrize(("schedule_name", "prediction_name"), PAIRS)
def test_an_error_of_the_output_moves_both_as_the_module_says(schedule_name, prediction_name):
    schedule, prediction = pair(schedule_name, prediction_name)
    t, level, x0, eps = batch(schedule)
    row, error = prediction.row(level), randn(len(t), 2, 3, seed=2)
    determinant = level.alpha * row.b - level.sigma * row.a
    close(row.determinant(level), determinant)
    estimate = solve(row, level, corrupt(schedule, x0, eps, t), row.of(x0, eps) + error)
    # Differences of values up to the amplification lose as many digits: compare at 1e-8 of them.
    close(estimate.x0 - x0, expand(-level.sigma / determinant, x0) * error, rtol=1e-8, atol=1e-9)
    close(estimate.eps - eps, expand(level.alpha / determinant, x0) * error, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize(("schedule_name", "prediction_name"), REFUSED)
def test_a_blind_pair_is_refused_by_both_names(schedule_name, prediction_name):
    schedule, prediction = pair(schedule_name, prediction_name)
    with pytest.raises(ConfigError) as caught:
        check(prediction, schedule)
    for piece in (schedule, prediction):
        assert type(piece).__name__ in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_pair_may_also_be_blind_at_the_clean_end():
    # At sigma = 1e-6 the data says nothing about the noise that is left.
    with pytest.raises(ConfigError, match="Data prediction"):
        check(Data(), LinearVE(80.0, 1e-6))


def test_the_bound_on_the_amplification_is_where_it_says():
    # The amplification of noise prediction on variance preserving levels is 1/alpha = 0.1^(-steps/2).
    level = ConstantAlpha(0.1, 6).level(1.0)
    close(amplification(Noise().row(level), level), 1e3 * (1 - 1e-6) ** 0.5)
    check(Noise(), ConstantAlpha(0.1, 7))
    assert LARGEST_AMPLIFICATION == 1e4
    with pytest.raises(ConfigError):
        check(Noise(), ConstantAlpha(0.1, 9))


@every_schedule
def test_noise_and_data_are_themselves(schedule):
    _, level, x0, eps = batch(schedule)
    assert torch.equal(Noise().row(level).of(x0, eps), eps)
    assert torch.equal(Data().row(level).of(x0, eps), x0)


@every_schedule
def test_v_is_the_mixture_that_is_orthogonal_to_x_t(schedule):
    _, level, x0, eps = batch(schedule)
    close(V().row(level).of(x0, eps), expand(level.alpha, x0) * eps - expand(level.sigma, x0) * x0)


@every_schedule
def test_score_is_the_gradient_of_the_log_density(schedule):
    t, level, x0, eps = batch(schedule)
    x_t = corrupt(schedule, x0, eps, t).requires_grad_()
    (gradient,) = torch.autograd.grad(marginal(schedule, x0, t).log_prob(x_t).sum(), x_t)
    # At sigma = 1e-3 the gradient divides rounding of x_t by sigma²: 1e-16·1e6.
    close(Score().row(level).of(x0, eps), gradient, rtol=1e-8, atol=1e-8)
    close(Score().row(level).of(x0, eps), -eps / expand(level.sigma, eps))


@every_schedule
def test_velocity_is_the_derivative_of_the_path(schedule):
    t, level, x0, eps = batch(schedule)
    _, slope = torch.autograd.functional.jvp(
        lambda time: corrupt(schedule, x0, eps, time), t, torch.ones_like(t)
    )
    close(Velocity().row(level).of(x0, eps), slope)


@pytest.mark.parametrize("sigma_data", [0.5, 2.0])
def test_edm_is_karras_table_1(sigma_data):
    schedule = LinearVE()
    t, level, x0, eps = batch(schedule)
    s2, d2 = level.sigma**2, sigma_data**2
    c_skip, c_out = d2 / (s2 + d2), level.sigma * sigma_data / (s2 + d2).sqrt()
    output = randn(len(t), 2, 3, seed=3)
    x_t = corrupt(schedule, x0, eps, t)
    truth = expand(c_skip, x0) * x_t + expand(c_out, x0) * output
    close(solve(EDM(sigma_data).row(level), level, x_t, output).x0, truth)


@every_schedule
def test_edm_has_unit_variance_at_every_level(schedule):
    row = EDM(0.7).row(schedule.level(asked_times(schedule)))
    close((row.a * 0.7) ** 2 + row.b**2, torch.ones_like(row.a))


@every_schedule
def test_edm_is_uncorrelated_with_what_the_network_sees(schedule):
    level = schedule.level(asked_times(schedule))
    row = EDM(0.7).row(level)
    close(row.a * level.alpha * 0.49 + row.b * level.sigma, torch.zeros_like(row.a))


@pytest.mark.parametrize("sigma_data", [0.0, -1.0])
def test_edm_refuses_data_without_spread(sigma_data):
    with pytest.raises(ConfigError, match="sigma_data"):
        EDM(sigma_data)


def test_a_score_without_noise_is_refused():
    class Touching(RectifiedFlow):
        """A line whose clean end is asked about, and whose noisy end is not reached."""

        t_min = 0.0

        def level(self, t):
            return super().level(0.9 * torch.as_tensor(t, dtype=torch.float64))

    with pytest.raises(ConfigError, match="Score prediction cannot be used with Touching: at t = 0"):
        check(Score(), Touching())
    check(V(), Touching())

"""What is remembered of a time is what would be computed, for whoever asks and however they ask."""

from dataclasses import dataclass, field

import pytest
import torch

from sfumato.diffusion.denoiser import NetworkDenoiser
from sfumato.diffusion.grids import times_of
from sfumato.diffusion.level import Level
from sfumato.diffusion.prediction import EDM, V
from sfumato.diffusion.process import posterior_scales, transition_scales
from sfumato.diffusion.remembering import MOST, kept, level_at, shared_time
from sfumato.diffusion.schedules import Betas, LinearVE, NoiseSteps
from sfumato.verify.pieces import GRIDS, PAIRS, SCHEDULES, pair

from .helpers import close, number, randn

FIELDS = ("t", "alpha", "sigma", "d_alpha", "d_sigma")
every_schedule = pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)


def same(one: Level, other: Level) -> bool:
    return all(torch.equal(getattr(one, name), getattr(other, name)) for name in FIELDS)


@every_schedule
@pytest.mark.parametrize("t", [0.1, 0.37, 1.0])
def test_a_level_is_the_schedule_s_own_and_one_object(schedule, t):
    assert same(level_at(schedule, t), schedule.level(t))
    assert level_at(schedule, t) is level_at(schedule, number(t))
    assert level_at(schedule, t) is not level_at(schedule, 0.99 * t)


@every_schedule
def test_a_level_of_many_times_is_not_kept(schedule):
    t = torch.linspace(0.1, 1, 5, dtype=torch.float64)
    assert same(level_at(schedule, t), schedule.level(t))
    assert level_at(schedule, t) is not level_at(schedule, t)


def test_schedules_do_not_share_their_levels():
    kept_levels = {name: level_at(schedule, 0.4) for name, schedule in SCHEDULES.items()}
    for name, schedule in SCHEDULES.items():
        assert same(kept_levels[name], schedule.level(0.4))


@pytest.mark.parametrize("kind", [Betas, NoiseSteps])
def test_lists_that_begin_and_end_alike_are_told_apart(kind):
    one, other = kind((0.1, 0.2, 0.3)), kind((0.1, 0.25, 0.3))
    assert hash(one) == hash(kind((0.1, 0.2, 0.3)))
    assert one != other
    assert not same(level_at(one, 0.9), level_at(other, 0.9))


@dataclass
class Listed:
    """A schedule that cannot be hashed, and that changes."""

    sigmas: list[float] = field(default_factory=lambda: [2.0])
    t_min, prior_std = 0.01, 2.0

    def level(self, t):
        return LinearVE(self.sigmas[0]).level(t)


def test_what_cannot_be_hashed_is_asked_each_time():
    schedule = Listed()
    assert same(level_at(schedule, 0.5), LinearVE(2.0).level(0.5))
    schedule.sigmas[0] = 3.0
    assert same(level_at(schedule, 0.5), LinearVE(3.0).level(0.5))
    close(
        NetworkDenoiser(lambda x, level, condition: x, schedule, V()).estimate(randn(2, 3), number(0.5)).x0,
        NetworkDenoiser(lambda x, level, condition: x, LinearVE(3.0), V())
        .estimate(randn(2, 3), number(0.5))
        .x0,
    )


def test_an_error_of_the_function_s_own_is_raised():
    @kept
    def broken(value):
        raise TypeError(f"no {value}")

    with pytest.raises(TypeError, match="no 3"):
        broken(3)


def test_no_more_is_kept_than_said():
    calls = []
    double = kept(lambda value: calls.append(value) or 2 * value)
    for value in (*range(MOST), 5, MOST, MOST + 1, 0):
        assert double(value) == 2 * value
    assert len(calls) == MOST + 3  # 5 was known, and 0 made room for MOST


def test_what_inference_kept_serves_gradients():
    schedule = LinearVE(77.0)  # nobody else's, so that it is first asked about here
    with torch.inference_mode():
        level, time = level_at(schedule, 0.31), shared_time(0.3125)
        scales = posterior_scales(level, level_at(schedule, 0.41))
    x = randn(3).requires_grad_()
    for value in (level.sigma, time, scales[0]):
        assert not value.is_inference()
        (value * x).sum().backward()  # autograd keeps `value`, which it refuses of an inference tensor


@pytest.mark.parametrize(("schedule_name", "prediction_name"), PAIRS)
def test_one_time_for_all_gives_what_as_many_times_give(schedule_name, prediction_name):
    """Shared numbers and numbers a row are two ways through one formula."""
    schedule, prediction = pair(schedule_name, prediction_name)
    denoiser = NetworkDenoiser(lambda x, level, condition: 0.4 * x + level[:, None], schedule, prediction)
    x_t = randn(4, 3)
    for t in (0.2, 0.45, 0.9):
        one, many = (denoiser.estimate(x_t, at) for at in (number(t), number([t] * 4)))
        close(one.x0, many.x0)
        close(one.eps, many.eps)


@every_schedule
def test_the_scales_of_a_step_are_kept_for_shared_times_alone(schedule):
    s, t = (level_at(schedule, at) for at in (0.3, 0.7))
    many = posterior_scales(*(schedule.level(number([at] * 2)) for at in (0.3, 0.7)))
    for value, row in zip(posterior_scales(s, t), many, strict=True):
        close(value.expand(2), row)
    assert posterior_scales(s, t)[0] is posterior_scales(s, t)[0]
    assert transition_scales(s, t)[0] is transition_scales(s, t)[0]


@every_schedule
@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
def test_the_times_of_a_grid_are_its_own(grid, schedule):
    assert torch.equal(times_of(grid, 4, schedule), grid.times(4, schedule))
    assert times_of(grid, 4, schedule) is times_of(grid, 4, schedule)


def test_pieces_with_other_settings_are_other_pieces():
    x_t, t = randn(4, 3), number(0.5)
    estimates = [
        NetworkDenoiser(lambda x, level, condition: x, LinearVE(), EDM(sigma_data)).estimate(x_t, t).x0
        for sigma_data in (0.5, 0.7)
    ]
    assert not torch.equal(*estimates)

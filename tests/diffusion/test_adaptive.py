"""The adaptive solver keeps its tolerance against the exact flow of a Gaussian, and counts what it asks."""

import math

import pytest
import torch

from sfumato.diffusion.exact import ExactDenoiser, gaussian
from sfumato.diffusion.grids import UniformGrid
from sfumato.diffusion.samplers import AdaptiveODE, Question, adaptive, sample_frames
from sfumato.diffusion.samplers.adaptive import largest_rms
from sfumato.diffusion.schedules import Betas, GeometricVE
from sfumato.errors import ConfigError
from sfumato.verify.pieces import NO_SIGNAL_AT_ONE, SCHEDULES, SMOOTH

from .helpers import COVARIANCE, MEAN, close, number, randn
from .test_orders import flow

MIXTURE = gaussian(MEAN, COVARIANCE)


class Watched(ExactDenoiser):
    """The exact denoiser, which writes down when it is asked."""

    def __init__(self, schedule):
        super().__init__(MIXTURE, schedule)
        object.__setattr__(self, "asked", [])

    def estimate(self, x_t, t, condition=None):
        self.asked.append(float(t))
        return super().estimate(x_t, t, condition)


def step(denoiser, sampler, x, t, s):
    ask = Question(denoiser)
    return sampler.step(ask, x, ask.at(t), ask.at(s), None, None), ask.evaluations


def start(schedule, t, n=4):
    level = schedule.level(number(t))
    return level.alpha * MEAN + (level.alpha + level.sigma) * randn(n, 3)


@pytest.mark.parametrize("schedule_name", SMOOTH)
def test_the_error_keeps_to_the_tolerance_and_falls_with_it(schedule_name):
    schedule, before = SCHEDULES[schedule_name], math.inf
    x = start(schedule, 0.9)
    truth, asked = flow(schedule, x, 0.9, 0.15), 0
    for tolerance in (1e-3, 1e-5, 1e-7):
        result, evaluations = step(Watched(schedule), AdaptiveODE(tolerance, tolerance), x, 0.9, 0.15)
        error = float((result.x - truth).abs().max())
        # Each of about ten steps may err by a tolerance relative to the state there, at most as large as x.
        assert error < 10 * tolerance * max(1.0, float(x.abs().max()))
        # A hundredth of the tolerance is a hundredth of the error, but for the chance of where steps end.
        assert error < 0.1 * before
        assert evaluations > asked
        before, asked = error, evaluations


@pytest.mark.parametrize("schedule_name", [*NO_SIGNAL_AT_ONE, "linear_vp", "sub_vp", "linear_ve"])
def test_one_step_from_pure_noise_to_the_data_follows_the_flow_to_the_cleanest_level(schedule_name):
    schedule = SCHEDULES[schedule_name]
    x = schedule.prior_std * randn(4, 3)
    result, _ = step(Watched(schedule), AdaptiveODE(1e-7, 1e-7), x, 1.0, 0.0)
    before = flow(schedule, x, 1.0, schedule.t_min)
    # Twenty steps of a tolerance relative to the largest state.
    tolerance = 20 * 1e-7 * max(1.0, schedule.prior_std)
    close(result.x, MIXTURE.posterior_mean(before, schedule.level(number(schedule.t_min))), 0, tolerance)
    assert torch.equal(result.x0, result.x)


@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
def test_nothing_is_asked_beyond_the_ends_and_everything_is_counted(schedule):
    denoiser = Watched(schedule)
    _, evaluations = step(denoiser, AdaptiveODE(1e-3, 1e-3), start(schedule, 1.0), 1.0, 0.0)
    cleanest = schedule.t_min or 1e-3
    assert evaluations == len(denoiser.asked) > 10
    assert max(denoiser.asked) == 1
    assert min(denoiser.asked) == denoiser.asked[-1] == cleanest
    # On the way it stops where the grid says, and no further.
    denoiser = Watched(schedule)
    step(denoiser, AdaptiveODE(1e-3, 1e-3), start(schedule, 0.7), 0.7, 0.5)
    assert max(denoiser.asked) == 0.7
    assert min(denoiser.asked) == 0.5


def test_a_short_step_asks_nothing_beyond_its_end():
    denoiser = Watched(SCHEDULES["linear_vp"])
    step(denoiser, AdaptiveODE(), randn(4, 3), 0.5, 0.499999)
    assert 0.499999 <= min(denoiser.asked) <= max(denoiser.asked) <= 0.5


def test_the_last_step_from_the_cleanest_level_is_its_estimate():
    schedule, x = SCHEDULES["linear_vp"], randn(4, 3)
    for t in (schedule.t_min, schedule.t_min / 2):
        denoiser = Watched(schedule)
        result, evaluations = step(denoiser, AdaptiveODE(), x, t, 0.0)
        close(result.x, MIXTURE.posterior_mean(x, schedule.level(number(t))))
        assert evaluations == 1
    # A chain of one step has no other level than its noisiest.
    result, evaluations = step(Watched(Betas((0.9,))), AdaptiveODE(), x, 1.0, 0.0)
    close(result.x, MIXTURE.posterior_mean(x, Betas((0.9,)).level(number(1.0))))
    assert evaluations == 1


def test_a_geometric_schedule_is_followed_to_just_before_its_end():
    schedule = GeometricVE(0.1, 5.0)
    x = 5 * randn(4, 3)
    result, _ = step(Watched(schedule), AdaptiveODE(1e-7, 1e-7), x, 1.0, 0.0)
    truth = MIXTURE.posterior_mean(flow(schedule, x, 1.0, 1e-3), schedule.level(number(1e-3)))
    close(result.x, truth, 0, 1e-5)


def test_stops_on_the_way_change_the_sample_within_the_tolerance():
    schedule, x = SCHEDULES["cosine_vp"], randn(4, 3)
    ends = [
        list(sample_frames(Watched(schedule), AdaptiveODE(), x, UniformGrid().times(k, schedule), None))[-1].x
        for k in (1, 5)
    ]
    # Some twenty steps at 1e-5.
    close(ends[0], ends[1], 2e-4, 2e-4)
    assert not torch.equal(ends[0], ends[1])


def test_an_image_keeps_its_tolerance_in_whatever_company():
    # One image far out, on which the solver must take shorter steps: the mean error of all would hide it.
    schedule = SCHEDULES["linear_vp"]
    x = torch.cat([start(schedule, 0.9, 1).expand(50, 3), 100 * randn(1, 3)])
    sampler, truth = AdaptiveODE(1e-5, 1e-5), flow(schedule, x, 0.9, 0.15)
    together = step(Watched(schedule), sampler, x, 0.9, 0.15)[0].x
    alone = step(Watched(schedule), sampler, x[:1], 0.9, 0.15)[0].x
    close(together[:1], alone, 1e-4, 1e-4)
    assert float(((together - truth).abs() / (1 + truth.abs())).max()) < 1e-4
    # Pooled over 51 images the last one's error would be divided by sqrt(51).
    error = torch.zeros(51, 3, dtype=torch.float64)
    error[-1] = number([3.0, 0.0, 4.0])
    close(largest_rms(error), math.sqrt(25 / 3))


def test_a_tolerance_beyond_the_precision_is_refused_in_one_line(monkeypatch):
    schedule, x = SCHEDULES["linear_vp"], randn(2, 3).float()
    monkeypatch.setattr(adaptive, "MOST_STEPS", 100)
    # 1e-6 is within float32's reach and takes some 30 steps.
    assert step(Watched(schedule), AdaptiveODE(1e-6, 1e-6), x, 0.9, 0.15)[0].x.dtype == torch.float32
    with pytest.raises(ConfigError, match=r"within 100 steps of torch\.float32") as caught:
        step(Watched(schedule), AdaptiveODE(1e-14, 1e-14), x, 0.9, 0.15)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("options", [{"rtol": 0.0}, {"atol": 0.0}, {"rtol": math.nan}, {"atol": -1e-3}])
def test_tolerances_are_above_0(options):
    with pytest.raises(ConfigError, match="rtol and atol"):
        AdaptiveODE(**options)

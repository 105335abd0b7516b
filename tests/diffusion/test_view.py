"""What a network is shown: the sample at unit variance and its level, or the sample alone."""

import pytest
import torch

from sfumato.diffusion.denoiser import NetworkDenoiser
from sfumato.diffusion.prediction import Noise
from sfumato.diffusion.process import corrupt
from sfumato.diffusion.schedules import ConstantAlpha
from sfumato.diffusion.view import TimeFree, WithLevel
from sfumato.errors import ConfigError
from sfumato.verify.pieces import SCHEDULES

from .helpers import asked_times, close, number, randn


@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
def test_a_network_is_shown_unit_variance_at_every_level(schedule):
    sigma_data, n = 0.7, 20_000
    t = asked_times(schedule, 7)
    for time in t:
        x_t = corrupt(schedule, sigma_data * randn(n, 1), randn(n, 1, seed=1), time)
        shown, _ = WithLevel(sigma_data).show(x_t, schedule.level(time))
        # Five standard errors of the variance of n Gaussian numbers.
        close(shown.var(), 1.0, atol=5 * (2 / n) ** 0.5)


@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
def test_a_time_free_network_sees_the_sample_alone(schedule):
    x_t, t = randn(5, 2, 3), asked_times(schedule, 5)
    shown, level = TimeFree().show(x_t, schedule.level(t))
    assert torch.equal(shown, x_t)
    assert torch.equal(level, torch.zeros(5, dtype=torch.float64))


def test_a_time_free_output_is_read_at_the_time_it_is_asked_about():
    # The network cannot know t, but what its noise says of x0 depends on it.
    schedule, x_t = ConstantAlpha(0.9, 10), randn(3, 2)
    denoiser = NetworkDenoiser(lambda x, level, condition: 0.3 * x, schedule, Noise(), TimeFree())
    for time in (0.2, 0.9):
        kept = 0.9 ** (10 * time)
        close(denoiser.estimate(x_t, number(time)).x0, x_t * (1 - 0.3 * (1 - kept) ** 0.5) / kept**0.5)


@pytest.mark.parametrize("sigma_data", [0.0, -1.0])
def test_data_without_spread_is_refused(sigma_data):
    with pytest.raises(ConfigError, match="sigma_data"):
        WithLevel(sigma_data)

"""A network as a denoiser: what it is shown, what its output means, and clipping."""

import pytest
import torch

from sfumato.condition import Condition
from sfumato.diffusion.denoiser import NetworkDenoiser
from sfumato.diffusion.exact import ExactDenoiser, gaussian
from sfumato.diffusion.level import expand
from sfumato.diffusion.prediction import V
from sfumato.diffusion.schedules import time_of_log_snr
from sfumato.diffusion.thresholding import Static, Thresholded
from sfumato.diffusion.view import LARGEST_LOG_RATIO, WithLevel, level_input
from sfumato.errors import ConfigError
from sfumato.verify.pieces import PAIRS, REFUSED, SCHEDULES, pair

from .helpers import COVARIANCE, MEAN, KnownDenoiser, asked_times, close, number, rand, randn

every_schedule = pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)


class Listening:
    """A network that writes down what it is shown."""

    def __call__(self, x, level, condition):
        self.x, self.level, self.condition = x, level, condition
        return x


@every_schedule
@pytest.mark.parametrize("sigma_data", [1.0, 0.5])
def test_a_network_is_shown_unit_variance_and_the_level(schedule, sigma_data):
    network, t = Listening(), asked_times(schedule)[:-1]
    at, x_t, condition = schedule.level(t), randn(40, 2, 3), Condition.of(label=torch.arange(40))
    NetworkDenoiser(network, schedule, V(), WithLevel(sigma_data)).output(x_t, t, condition)
    # Karras et al. 2022, table 1, with alpha·sigma_data for the scale of the signal.
    variance = at.alpha**2 * sigma_data**2 + at.sigma**2
    close(network.x, x_t / expand(variance.sqrt(), x_t))
    close(network.level, (at.sigma / at.alpha).log() / 4)
    assert network.condition is condition


def test_a_network_is_shown_one_level_a_row_in_the_data_s_precision():
    network = Listening()
    NetworkDenoiser(network, SCHEDULES["linear_vp"], V()).output(randn(5, 2).float(), number(0.4))
    assert network.level.shape == (5,)
    assert network.level.dtype == network.x.dtype == torch.float32
    assert network.condition is None


@every_schedule
def test_the_level_shown_rises_with_time_and_is_finite_at_its_ends(schedule):
    t = torch.linspace(0, 1, 1001, dtype=torch.float64)
    shown = level_input(schedule.level(t))
    assert bool(shown.isfinite().all())
    assert float(shown.abs().max()) <= LARGEST_LOG_RATIO / 4
    assert bool((shown[1:] > shown[:-1]).all())


@pytest.mark.parametrize(("schedule_name", "prediction_name"), PAIRS)
def test_a_network_with_the_exact_output_is_the_exact_denoiser(schedule_name, prediction_name):
    schedule, prediction = pair(schedule_name, prediction_name)
    mixture, sigma_data = gaussian(MEAN, COVARIANCE), 0.8

    def network(x, level, condition):
        at = schedule.level(time_of_log_snr(schedule, -8 * level))
        x_t = x * expand(((sigma_data * at.alpha) ** 2 + at.sigma**2).sqrt(), x)
        x0 = mixture.posterior_mean(x_t, at)
        return prediction.row(at).of(x0, (x_t - expand(at.alpha, x) * x0) / expand(at.sigma, x))

    t, x_t = 0.05 + 0.9 * rand(20), randn(20, 3)
    estimate = NetworkDenoiser(network, schedule, prediction, WithLevel(sigma_data)).estimate(x_t, t)
    truth = ExactDenoiser(mixture, schedule).estimate(x_t, t)
    # The time is found from the level by bisection, to 1e-15, and the solve may amplify that by 1e4.
    close(estimate.x0, truth.x0, rtol=1e-8, atol=1e-8)
    close(estimate.eps, truth.eps, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize(("schedule_name", "prediction_name"), REFUSED)
def test_a_blind_pair_cannot_be_built(schedule_name, prediction_name):
    with pytest.raises(ConfigError, match="cannot be used"):
        NetworkDenoiser(Listening(), *pair(schedule_name, prediction_name))


@every_schedule
def test_clipping_bounds_the_picture_and_still_explains_the_sample(schedule):
    t, believed = asked_times(schedule), 2 * randn(41, 3)
    level, x_t = schedule.level(t), 3 * randn(41, 3, seed=1)
    estimate = Thresholded(KnownDenoiser(schedule, believed), Static(), (-0.5, 1.5)).estimate(x_t, t)
    close(estimate.x0, believed.clamp(-0.5, 1.5))
    close(expand(level.alpha, x_t) * estimate.x0 + expand(level.sigma, x_t) * estimate.eps, x_t)


@every_schedule
def test_clipping_what_lies_within_changes_no_bit(schedule):
    t, inner = asked_times(schedule), KnownDenoiser(schedule, 0.1 * randn(41, 3).clamp(-9, 9))
    x_t = randn(41, 3, seed=1)
    clipped, plain = Thresholded(inner, Static(), (-1.0, 1.0)).estimate(x_t, t), inner.estimate(x_t, t)
    assert torch.equal(clipped.x0, plain.x0)
    assert torch.equal(clipped.eps, plain.eps)

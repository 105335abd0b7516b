"""The denoising loss is the weighted squared error of x0, in whatever space a network speaks."""

import itertools
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from sfumato.diffusion.denoiser import NetworkDenoiser
from sfumato.diffusion.level import expand
from sfumato.diffusion.objective import DenoisingLoss
from sfumato.diffusion.prediction import EDM, V
from sfumato.diffusion.process import corrupt
from sfumato.diffusion.weighting import InData, InEDM, InNoise, InV, InVelocity, MinSNR, Sigmoid, space_weight
from sfumato.errors import ConfigError
from sfumato.verify.pieces import PAIRS, PREDICTIONS, SCHEDULES, VARIANCE_PRESERVING, WEIGHTINGS, pair

from .helpers import asked_times, close, number, randn

every_pair = pytest.mark.parametrize(("schedule_name", "prediction_name"), PAIRS)
every_schedule = pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)


@dataclass
class Batch:
    """A batch, a denoiser whose output is off by a known error, and what it makes of the batch."""

    schedule_name: str
    prediction_name: str
    size: float = 0.1

    def __post_init__(self):
        self.schedule, self.prediction = pair(self.schedule_name, self.prediction_name)
        # The noisiest time is left to its own test: some weights are 0 and some noises unseen there.
        self.t = asked_times(self.schedule, 12)[:-1]
        self.level = self.schedule.level(self.t)
        self.x0, self.eps = randn(11, 2, 3), randn(11, 2, 3, seed=1)
        self.error = self.size * randn(11, 2, 3, seed=2)
        output = self.prediction.row(self.level).of(self.x0, self.eps) + self.error
        self.denoiser = NetworkDenoiser(lambda x, level, condition: output, self.schedule, self.prediction)
        x_t = corrupt(self.schedule, self.x0, self.eps, self.t)
        self.estimate = self.denoiser.estimate(x_t, self.t)

    def loss(self, weighting) -> Tensor:
        return DenoisingLoss(weighting)(self.denoiser, self.x0, self.eps, self.t)


def mean_square(x: Tensor) -> Tensor:
    return x.square().mean((1, 2))


@every_pair
def test_the_loss_is_the_weighted_error_of_x0(schedule_name, prediction_name):
    batch = Batch(schedule_name, prediction_name)
    for weighting in WEIGHTINGS.values():
        truth = weighting.weight(batch.level) * mean_square(batch.x0 - batch.estimate.x0)
        # x0 comes through the solve and a difference: rounding times the amplification, up to 1e4 each.
        close(batch.loss(weighting), truth, rtol=1e-7, atol=1e-9)


@every_pair
def test_a_perfect_output_costs_nothing(schedule_name, prediction_name):
    batch = Batch(schedule_name, prediction_name, size=0.0)
    for weighting in WEIGHTINGS.values():
        close(batch.loss(weighting), torch.zeros(11).double(), atol=0)


@every_pair
def test_each_named_space_is_the_error_in_that_space(schedule_name, prediction_name):
    batch = Batch(schedule_name, prediction_name)
    x0_off, eps_off = batch.estimate.x0 - batch.x0, batch.estimate.eps - batch.eps
    alpha, sigma = expand(batch.level.alpha, x0_off), expand(batch.level.sigma, x0_off)
    close(batch.loss(InData()), mean_square(x0_off), rtol=1e-7, atol=1e-9)
    close(batch.loss(InNoise()), mean_square(eps_off), rtol=1e-7, atol=1e-9)
    close(batch.loss(InV()), mean_square(alpha * eps_off - sigma * x0_off), rtol=1e-7, atol=1e-9)


@every_schedule
def test_space_weight_is_the_ratio_of_the_errors(schedule):
    level = schedule.level(asked_times(schedule))
    # An error of 1 in x0 is one of −alpha/sigma in eps, because x_t is known.
    for make in PREDICTIONS.values():
        prediction = make(schedule)
        row = prediction.row(level)
        close(space_weight(prediction, level), (row.a - row.b * level.alpha / level.sigma) ** 2)


@every_schedule
def test_weights_are_their_formulas(schedule):
    level = schedule.level(asked_times(schedule))
    snr = level.alpha**2 / level.sigma**2
    close(InNoise().weight(level), snr)
    close(InData().weight(level), torch.ones_like(snr))
    slope = level.alpha * level.d_sigma - level.sigma * level.d_alpha
    close(InVelocity().weight(level), (slope / level.sigma) ** 2)
    close(InV().weight(level), (level.alpha**2 + level.sigma**2) ** 2 / level.sigma**2)
    close(MinSNR(3.0).weight(level), torch.minimum(snr, torch.full_like(snr, 3.0)))
    for bias in (-2.0, 0.0, 1.0):
        close(Sigmoid(bias).weight(level), snr * torch.sigmoid(bias - snr.log()))


@every_schedule
@pytest.mark.parametrize("sigma_data", [0.5, 2.0])
def test_in_edm_is_1_over_c_out_squared(schedule, sigma_data):
    level = schedule.level(asked_times(schedule))
    c_out = level.sigma * sigma_data / ((level.alpha * sigma_data) ** 2 + level.sigma**2).sqrt()
    close(InEDM(sigma_data).weight(level), 1 / c_out**2)
    # Which makes it the plain error of an EDM network's output (Karras et al. 2022, equation 8).
    close(space_weight(EDM(sigma_data), level), InEDM(sigma_data).weight(level))


@pytest.mark.parametrize("name", VARIANCE_PRESERVING)
def test_min_snr_of_v_prediction_is_its_paper_s(name):
    batch = Batch(name, "v")
    snr = batch.level.snr
    # Hang et al. 2023, section 3.4: min(SNR, gamma)/(SNR + 1) of the error of v.
    close(batch.loss(MinSNR(5.0)), snr.clamp(max=5.0) / (snr + 1) * mean_square(batch.error))


@every_pair
def test_an_edm_weight_is_the_output_s_own_error_for_edm(schedule_name, prediction_name):
    if prediction_name != "edm":
        pytest.skip("the law of one prediction")
    batch = Batch(schedule_name, prediction_name)
    close(batch.loss(InEDM(batch.prediction.sigma_data)), mean_square(batch.error))


@pytest.mark.parametrize("weighting", WEIGHTINGS.values(), ids=WEIGHTINGS)
def test_weights_are_finite_where_there_is_no_signal(weighting):
    # At alpha = 0 the picture is unseen: v's weight in x0 is 1, and SNR weights are 0.
    level = SCHEDULES["cosine_vp"].level(number(1.0))
    weight = float(weighting.weight(level))
    assert 0 <= weight < 1e3
    assert (weight == 0) == isinstance(weighting, InNoise | MinSNR | Sigmoid)


def test_sigmoid_is_finite_at_the_clean_end():
    close(Sigmoid(-2.0).weight(SCHEDULES["cosine_vp"].level(number(0.0))), torch.tensor(-2.0).double().exp())


@pytest.mark.parametrize("gamma", [0.0, -1.0])
def test_min_snr_refuses_a_gamma_of_nothing(gamma):
    with pytest.raises(ConfigError, match="gamma"):
        MinSNR(gamma)


def test_the_defaults_are_the_papers():
    assert MinSNR() == MinSNR(5.0)
    assert InEDM() == InEDM(0.5)
    assert EDM() == EDM(0.5)


def test_the_loss_passes_the_condition_to_the_network():
    seen = []

    def network(x, level, condition):
        seen.append(condition)
        return x

    schedule = SCHEDULES["linear_vp"]
    denoiser, loss = NetworkDenoiser(network, schedule, V()), DenoisingLoss(InV())
    marks = [object(), None]
    for mark in marks:
        loss(denoiser, randn(2, 3), randn(2, 3, seed=1), number([0.3, 0.6]), mark)
    assert seen == marks


def test_the_loss_is_in_the_data_s_precision():
    for schedule, prediction in itertools.product(SCHEDULES.values(), (V(), EDM())):
        denoiser = NetworkDenoiser(lambda x, *_: x, schedule, prediction)
        value = DenoisingLoss(InV())(
            denoiser, randn(2, 3).float(), randn(2, 3, seed=1).float(), number([0.3, 0.6])
        )
        assert value.dtype == torch.float32
        assert bool(value.isfinite().all())

"""Training densities: their distributions, stratum by stratum."""

import pytest
import torch

from sfumato.diffusion.schedules import LinearVE, RectifiedFlow
from sfumato.diffusion.times import (
    ImportanceSteps,
    LogitNormal,
    LogNormal,
    StepDensity,
    Steps,
    Uniform,
    stratified,
)
from sfumato.errors import ConfigError
from sfumato.verify.pieces import DENSITIES, SCHEDULES

from .helpers import close

every_density = pytest.mark.parametrize("density", DENSITIES.values(), ids=DENSITIES)
WIDE = LinearVE(sigma_max=1e3, sigma_min=1e-6)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@every_density
@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
def test_times_can_be_asked_about(density, schedule):
    t = density.draw(2000, schedule, seeded())
    assert t.shape == (2000,)
    assert t.dtype == torch.float64
    assert schedule.t_min <= float(t.min())
    assert float(t.max()) <= 1
    # They are spread over levels, not stuck at an end.
    assert float(t.std()) > 0.005


@every_density
def test_draws_are_those_of_their_generator(density):
    draws = [density.draw(8, RectifiedFlow(), seeded(seed)) for seed in (1, 1, 2)]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


def share_of(density, t):
    """The share of the density below `t`, by its own closed form."""
    if density == Uniform():
        return (t - WIDE.t_min) / (1 - WIDE.t_min)
    position = (t * 1e3).log() if isinstance(density, LogNormal) else (t / (1 - t)).log()
    return torch.special.ndtr((position - density.mean) / density.std)


@pytest.mark.parametrize("density", [Uniform(), LogNormal(), LogNormal(0.5, 2.0), LogitNormal(-0.4, 0.7)])
@pytest.mark.parametrize("n", [1, 7, 256])
def test_one_draw_falls_in_each_n_th_of_the_distribution(density, n):
    # On a schedule wide enough that no draw is clamped at an end.
    share = share_of(density, density.draw(n, WIDE, seeded(n)))
    assert (share * n).floor().tolist() == list(range(n))


def test_the_place_within_a_stratum_is_uniform():
    n = 10_000
    place = (stratified(n, seeded()) * n) % 1
    # Five standard errors of a uniform number's mean and variance.
    close(place.mean(), 0.5, atol=5 * (1 / 12 / n) ** 0.5)
    close(place.var(), 1 / 12, atol=5 * (1 / 180 / n) ** 0.5)


def test_log_normal_has_its_mean_and_deviation():
    ratio = WIDE.level(LogNormal(-1.2, 1.2).draw(20_000, WIDE, seeded())).sigma.log()
    # Stratified draws miss by at most one stratum: the tails' last 1/n-th holds 4e-4 of the variance.
    close(ratio.mean(), -1.2, atol=1e-3)
    close(ratio.std(), 1.2, atol=1e-3)


def test_log_normal_is_of_noise_over_signal_on_any_schedule():
    schedule = RectifiedFlow()
    t = LogNormal(0.3, 0.8).draw(5000, schedule, seeded())
    ratio = (t / (1 - t)).log()
    close(ratio.mean(), 0.3, atol=1e-3)
    close(ratio.std(), 0.8, atol=1e-3)


def test_logit_normal_is_of_time():
    t = LogitNormal(0.3, 0.8).draw(5000, RectifiedFlow(), seeded())
    logit = (t / (1 - t)).log()
    close(logit.mean(), 0.3, atol=1e-3)
    close(logit.std(), 0.8, atol=1e-3)


STEP_DENSITIES = {"steps": Steps(12), "importance": ImportanceSteps(12, 0.7)}
every_step_density = pytest.mark.parametrize("density", STEP_DENSITIES.values(), ids=STEP_DENSITIES)


@every_step_density
@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
def test_steps_are_drawn_as_often_as_their_probabilities_say(density, schedule):
    n = 24_000
    shares = density.probabilities(schedule)
    index = density.draw(n, schedule, seeded()) * 12
    close(index, index.round(), atol=1e-9)
    counts = torch.bincount(index.round().long() - 1, minlength=12)
    close(shares.sum(), 1.0)
    # Stratified: a step's share of n strata is hit to within one at each of its two ends.
    assert bool(((counts - n * shares).abs() <= 2).all())


@every_step_density
def test_steps_are_known_as_such_and_others_are_not(density):
    assert isinstance(density, StepDensity)
    assert not isinstance(Uniform(), StepDensity)


@pytest.mark.parametrize("sigma_data", [0.2, 1.0])
@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
def test_importance_is_what_gaussian_data_adds_to_the_bound(schedule, sigma_data):
    """½ (SNR_s − SNR_t) times what is left to know of x0, by adding precisions; a tenth is uniform."""
    expected = []
    for step in range(1, 21):
        s, t = schedule.level(max(step - 1, 0.5) / 20), schedule.level(step / 20)
        left = 1 / (1 / sigma_data**2 + float(t.snr))
        expected.append(0.5 * float(s.snr - t.snr) * left)
    truth = torch.tensor(expected, dtype=torch.float64)
    shares = ImportanceSteps(20, sigma_data).probabilities(schedule)
    close(shares, 0.9 * truth / truth.sum() + 0.1 / 20)
    assert float(shares.min()) >= 0.1 / 20


@pytest.mark.parametrize("kind", [Steps, ImportanceSteps])
def test_a_chain_without_steps_is_refused(kind):
    with pytest.raises(ConfigError, match="at least 1 step, not 0"):
        kind(0)


def test_defaults_are_the_papers():
    assert LogNormal() == LogNormal(-1.2, 1.2)
    assert LogitNormal() == LogitNormal(0.0, 1.0)


@pytest.mark.parametrize("kind", [LogNormal, LogitNormal])
@pytest.mark.parametrize("std", [0.0, -1.0])
def test_a_density_without_spread_is_refused(kind, std):
    with pytest.raises(ConfigError, match="std"):
        kind(0.0, std)

"""The width of the reverse step: known, learned, or none; and the samplers that it makes."""

import math
from itertools import pairwise

import pytest
import torch

from sfumato.diffusion.bound import deviations
from sfumato.diffusion.denoiser import NetworkDenoiser
from sfumato.diffusion.exact import ExactDenoiser, gaussian
from sfumato.diffusion.grids import UniformGrid
from sfumato.diffusion.prediction import Data, Estimate, Noise, Previous
from sfumato.diffusion.process import posterior
from sfumato.diffusion.samplers import (
    Heun,
    Posterior,
    PosteriorMean,
    Question,
    Stochastic,
    ancestral_large,
    ancestral_learned,
    check_variance,
    fixed_level,
    fixed_level_stale,
    sample_frames,
)
from sfumato.diffusion.schedules import Betas, LinearVP
from sfumato.diffusion.variance import FixedLarge, FixedSmall, LearnedRange
from sfumato.errors import ConfigError
from sfumato.verify.pieces import NO_SIGNAL_AT_ONE, SCHEDULES, STEP_BETAS, VARIANCES

from .helpers import COVARIANCE, MEAN, BlockNoise, FixedNoise, KnownDenoiser, close, number, rand, randn

every_schedule = pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
X0, Z = number([[0.3, -0.8]]), number([[1.1, -0.4]])
SMALL, LARGE = number(0.2), number(0.7)


def test_the_known_variances_are_the_ends_of_the_learned_one():
    v = number([[0.0, 1.0, 0.5], [-0.2, 1.3, 0.25]])
    learned = LearnedRange().std(SMALL, LARGE, v)
    close(learned[0, 0], FixedSmall().std(SMALL, LARGE, None))
    close(learned[0, 1], FixedLarge().std(SMALL, LARGE, None))
    # In the logarithm the middle is the geometric mean; v may leave [0, 1], as in the paper.
    close(learned[0, 2], math.sqrt(0.2 * 0.7))
    # Nichol & Dhariwal 2021, equation 15, for variances.
    close(learned**2, (v * math.log(0.7**2) + (1 - v) * math.log(0.2**2)).exp())


def test_the_learned_range_takes_an_example_s_own_ends():
    small, large, v = number([0.1, 0.2]), number([0.3, 0.8]), rand(2, 3, 4, seed=1)
    learned = LearnedRange().std(small, large, v)
    for i in range(2):
        close(learned[i], LearnedRange().std(small[i], large[i], v[i : i + 1])[0])
    assert learned.shape == v.shape


def test_the_second_half_of_the_channels_is_twice_the_fraction_less_1():
    output = randn(2, 6, 4, 4)
    prediction, v = LearnedRange().split(output)
    assert torch.equal(prediction, output[:, :3])
    close(2 * v - 1, output[:, 3:])
    close(LearnedRange().split(torch.zeros(1, 2))[1], [[0.5]])


@pytest.mark.parametrize("name", VARIANCES)
def test_a_variance_says_how_many_outputs_it_takes(name):
    variance, output = VARIANCES[name], randn(2, 4)
    prediction, v = variance.split(output)
    assert prediction.shape[1] * variance.outputs == 4
    assert (v is None) == (variance.outputs == 1)


def test_a_model_without_a_variance_of_its_own_is_told_so():
    with pytest.raises(ConfigError, match=r"has not learned a variance.*'ancestral-large'") as caught:
        LearnedRange().std(SMALL, LARGE, None)
    assert "\n" not in str(caught.value)


def test_deviations_are_ddpm_s_and_the_first_is_the_second_s():
    # beta-tilde and beta of Ho et al. 2020, equation 7; at step 1 beta-tilde is 0 and step 2's stands in.
    beta = number(STEP_BETAS)
    kept = (1 - beta).cumprod(0)
    small = (1 - kept[:-1]) / (1 - kept[1:]) * beta[1:]
    index = torch.arange(1, 11, dtype=torch.float64)
    got_small, got_large = deviations(Betas(STEP_BETAS), (index - 1) / 10, index / 10)
    close(got_large**2, beta)
    close(got_small**2, torch.cat([small[:1], small]))


def test_a_chain_of_one_step_has_but_one_deviation():
    small, large = deviations(Betas((0.4,)), number(0.0), number(1.0))
    close(small, large)
    close(large, math.sqrt(0.4))


def estimate_of(schedule, x_t, t, fraction=None):
    level = schedule.level(number(t))
    return Estimate(X0.expand_as(x_t), (x_t - level.alpha * X0) / level.sigma, fraction)


@every_schedule
@pytest.mark.parametrize("name", VARIANCES)
def test_the_step_keeps_the_posterior_s_mean_under_any_width(schedule, name):
    x_t, fraction = randn(1, 2), number([[0.3, 0.8]])
    ask = Question(KnownDenoiser(schedule, X0))
    t, s = ask.at(0.7), ask.at(0.6)
    c, kappa = PosteriorMean(VARIANCES[name]).coefficients(t, s, estimate_of(schedule, x_t, 0.7, fraction))
    truth = posterior(schedule, X0, x_t, number(0.6), number(0.7))
    close(s.alpha * X0 + c * estimate_of(schedule, x_t, 0.7).eps, truth.mean)
    # The transition's variance, from the levels alone.
    large = math.sqrt(t.sigma**2 - (t.alpha / s.alpha * s.sigma) ** 2)
    small = large * s.sigma / t.sigma
    closed = {"small": small, "large": large, "learned": small ** (1 - fraction) * large**fraction}
    close(kappa, closed[name])


def test_the_small_width_is_the_ancestral_step_itself():
    ask = Question(KnownDenoiser(LinearVP(), X0))
    t, s, x_t = ask.at(0.7), ask.at(0.6), randn(1, 2)
    step = Stochastic(PosteriorMean(FixedSmall())).step(ask, x_t, t, s, FixedNoise(Z), None)
    close(step.x, posterior(LinearVP(), X0, x_t, number(0.6), number(0.7)).sample(Z))


@pytest.mark.parametrize("schedule_name", [name for name in SCHEDULES if name != "geometric_ve"])
@pytest.mark.parametrize("name", VARIANCES)
def test_no_width_at_the_clean_end(schedule_name, name):
    # A geometric schedule alone has no clean end.
    schedule = SCHEDULES[schedule_name]
    ask = Question(KnownDenoiser(schedule, X0))
    rule = PosteriorMean(VARIANCES[name])
    assert rule.coefficients(ask.at(0.2), ask.at(0.0), estimate_of(schedule, randn(1, 2), 0.2)) == (0, 0)


@pytest.mark.parametrize("name", NO_SIGNAL_AT_ONE)
def test_from_pure_noise_both_widths_are_all_the_noise_there_is(name):
    # The posterior then is the marginal, whose deviation is sigma_s; the transition's is sigma_t = 1.
    ask = Question(KnownDenoiser(SCHEDULES[name], X0))
    t, s = ask.at(1.0), ask.at(0.8)
    estimate = estimate_of(SCHEDULES[name], randn(1, 2), 1.0)
    close(number(PosteriorMean(FixedSmall()).coefficients(t, s, estimate)), [0, s.sigma])
    close(number(PosteriorMean(FixedLarge()).coefficients(t, s, estimate)), [0, 1.0])


def test_the_learned_width_is_read_from_the_network_s_output():
    # A network that puts out x0 = 0.4 and 2v − 1 = ∓1 for the two entries: beta-tilde and beta.
    def network(x, level, condition):
        return torch.tensor([[0.4, 0.4, -1.0, 1.0]], dtype=x.dtype).expand(len(x), 4)

    schedule = LinearVP()
    denoiser = NetworkDenoiser(network, schedule, Data(), variance=LearnedRange())
    ask, x_t = Question(denoiser), randn(3, 2)
    t, s, z = number(0.7), number(0.6), randn(3, 2, seed=1)
    x_s = ancestral_learned().step(ask, x_t, ask.at(0.7), ask.at(0.6), FixedNoise(z), None).x
    truth = posterior(schedule, torch.full_like(x_t, 0.4), x_t, s, t)
    close(x_s[:, 0], truth.sample(z)[:, 0])
    large = ancestral_large().step(ask, x_t, ask.at(0.7), ask.at(0.6), FixedNoise(z), None).x
    close(x_s[:, 1], large[:, 1])


def at_one_level(sampler):
    """The start, its one-jump estimate, and the frames of five rounds at a level that shows some picture."""
    denoiser = ExactDenoiser(gaussian(MEAN, COVARIANCE), SCHEDULES["linear_vp"])
    x, times = randn(4, 3), torch.linspace(0.5, 0, 6, dtype=torch.float64)
    single = denoiser.estimate(x, number(0.5)).x0
    return x, single, list(sample_frames(denoiser, sampler, x, times, BlockNoise(0)))


def test_stale_noise_never_moves():
    x, single, frames = at_one_level(fixed_level_stale())
    # The old noise is put back: to rounding nothing changes, and the end is the one jump.
    for frame in frames[1:]:
        close(frame.x0, single)
    for frame in frames[1:-1]:
        close(frame.x, x)
    close(frames[-1].x, single)


@pytest.mark.parametrize("name", ["cosine_vp", "rectified_flow", "geometric_ve"])
def test_one_level_ends_on_its_estimate_without_signal_at_1_or_with_noise_at_0(name):
    schedule, x = SCHEDULES[name], SCHEDULES[name].prior_std * randn(3, 3)
    denoiser = ExactDenoiser(gaussian(MEAN, COVARIANCE), schedule)
    times = torch.linspace(1, 0, 4, dtype=torch.float64)
    stale = list(sample_frames(denoiser, fixed_level_stale(), x, times, BlockNoise(0)))
    close(stale[-1].x, denoiser.estimate(x, number(1.0)).x0)
    fresh = list(sample_frames(denoiser, fixed_level(), x, times, BlockNoise(0)))[-1]
    assert bool(fresh.x.isfinite().all())
    assert torch.equal(fresh.x, fresh.x0)


def test_fresh_noise_at_one_level_goes_on():
    _, single, frames = at_one_level(fixed_level())
    close(frames[1].x0, single)
    for before, after in pairwise(frames[1:]):
        assert float((after.x0 - before.x0).abs().min()) > 1e-3


def test_fresh_noise_at_one_level_is_a_chain_whose_law_is_known():
    # x_T ← alpha·x̂0(x_T) + sigma·z is linear on a Gaussian: V ← (alpha² C/(alpha² C + sigma²))²·V + sigma².
    schedule, variance, n = SCHEDULES["linear_vp"], 0.4, 20_000
    level = schedule.level(number(0.4))
    denoiser, noise = ExactDenoiser(gaussian(number([0.5]), number([[variance]])), schedule), BlockNoise(3)
    times = torch.linspace(0.4, 0, 31, dtype=torch.float64)
    x = list(sample_frames(denoiser, fixed_level(), noise.normal((n, 1)), times, noise))[-2].x
    gain = level.alpha**2 * variance / (level.alpha**2 * variance + level.sigma**2)
    # 29 rounds forget the start by gain^58; five standard errors of a variance.
    truth = float(level.sigma**2 / (1 - gain**2))
    assert float(gain) ** 58 < 1e-3
    assert float(x.var()) == pytest.approx(truth, rel=5 * math.sqrt(2 / n))


@every_schedule
@pytest.mark.parametrize("steps", [10, 25])
def test_previous_is_the_mean_of_the_posterior(schedule, steps):
    prediction, x0, eps = Previous(schedule, steps), randn(1, 2), randn(1, 2, seed=1)
    for t in (0.4, 1.0):
        level, s = schedule.level(number(t)), number(t - 1 / steps)
        x_t = level.alpha * x0 + level.sigma * eps
        truth = posterior(schedule, x0, x_t, s, number(t)).mean
        close(prediction.row(level).of(x0, eps), truth)


@pytest.mark.parametrize("name", ["linear_vp", "linear_ve", "rectified_flow", "betas"])
def test_on_its_own_steps_the_reverse_sampler_s_mean_is_the_network_s_output(name):
    # Lecture A's sampler: x_t ~ N(f(x_{t+dt}), sigma²), whatever f is.
    schedule, steps, outputs = SCHEDULES[name], 10, []

    def network(x, level, condition):
        outputs.append(0.3 * x.sin() + 0.1)
        return outputs[-1]

    denoiser = NetworkDenoiser(network, schedule, Previous(schedule, steps))
    x, times = schedule.prior_std * randn(4, 2), UniformGrid().times(steps, schedule)
    frames = list(sample_frames(denoiser, ancestral_large(), x, times, FixedNoise(number(0.0))))
    for frame, output in zip(frames[1:], outputs, strict=True):
        # The solve may lose four digits and the step puts them back together.
        close(frame.x, output, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("steps", [0, -3])
def test_a_previous_state_lies_at_least_one_step_before(steps):
    with pytest.raises(ConfigError, match="at least 1 step"):
        Previous(LinearVP(), steps)
    assert Previous(LinearVP()).steps == 100


def test_a_known_variance_leaves_the_estimate_without_a_fraction():
    denoiser = NetworkDenoiser(lambda x, level, condition: x, LinearVP(), Noise())
    assert denoiser.estimate(randn(1, 2), number(0.5)).variance_fraction is None


def test_a_learned_variance_is_sampled_only_where_one_was_learned():
    check_variance(ancestral_learned(), LearnedRange())
    for sampler in (ancestral_large(), Stochastic(Posterior(1.0)), fixed_level(), Heun()):
        check_variance(sampler, FixedSmall())
    with pytest.raises(ConfigError, match="has not learned a variance"):
        check_variance(ancestral_learned(), FixedLarge())

"""The flow's log density is the mixture's own, whatever the schedule, the trace and the company."""

import itertools
import math

import pytest
import torch

from sfumato.diffusion.exact import ExactDenoiser, gaussian
from sfumato.diffusion.likelihood import (
    Dequantised,
    ExactTrace,
    FlowLikelihood,
    Hutchinson,
    value_and_trace,
    worst_image,
)
from sfumato.diffusion.schedules import LinearBetas, LinearVP, RectifiedFlow, signal_left
from sfumato.errors import ConfigError
from sfumato.randomness import SeededNoise
from sfumato.verify.likelihoods import (
    MOST_SIGNAL_LEFT,
    clean_log_prob,
    first_time,
    flow_row,
    power_law_mixture,
)
from sfumato.verify.pieces import SCHEDULES, SMOOTH

from .helpers import COVARIANCE, MEAN, BlockNoise, FixedNoise, close, number, randn

GAUSSIAN = gaussian(MEAN, COVARIANCE)
CLEAN = RectifiedFlow().level(0.0)
NOISY_ENDS = [name for name in SMOOTH if signal_left(SCHEDULES[name]) < MOST_SIGNAL_LEFT]


def test_the_schedules_are_those_of_the_table():
    assert {"linear_vp", "cosine_vp", "geometric_ve", "linear_ve", "rectified_flow"} <= set(NOISY_ENDS)


@pytest.mark.parametrize("name", NOISY_ENDS)
def test_the_flow_finds_the_mixture_s_density_in_2_dimensions(name):
    row = flow_row(name, 2, ExactTrace())
    assert row.worst < 0.01


def test_the_flow_finds_the_mixture_s_density_in_64_dimensions():
    row = flow_row("rectified_flow", 64, ExactTrace(), examples=8)
    assert row.worst < 0.01


@pytest.mark.parametrize("name", NOISY_ENDS)
def test_random_probes_find_it_in_the_mean(name):
    row = flow_row(name, 64, Hutchinson(8))
    assert abs(row.error) < 0.01 + 3 * row.standard_error
    # Chance itself is small: eight probes are off by some 0.05 bits per dimension in one example.
    assert row.standard_error < 0.03


def flow_of_a_gaussian(x, schedule, start):
    """log p_1(x_1) + log |∂x_1/∂x| + log prior/p_1 in closed form: the flow is affine.

    Along each axis of the covariance the flow scales by sqrt(variance_1/variance_start).
    """
    axes, variances = GAUSSIAN.axes[0], GAUSSIAN.variances[0]
    a, b = schedule.level(start), schedule.level(1.0)
    spread_a, spread_b = (level.alpha**2 * variances + level.sigma**2 for level in (a, b))
    ratio = (spread_b / spread_a).sqrt()
    x_1 = b.alpha * MEAN + ((a.alpha * (x - MEAN)) @ axes * ratio) @ axes.T
    pure = torch.distributions.Normal(number(0.0), number(schedule.prior_std))
    return pure.log_prob(x_1).sum(1) + ratio.log().sum() + 3 * a.alpha.log()


@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
def test_a_gaussian_s_flow_is_followed_to_the_tolerance_on_any_schedule(schedule):
    x, start = GAUSSIAN.sample(4, torch.Generator().manual_seed(0)), max(schedule.t_min, 1e-3)
    truth = flow_of_a_gaussian(x, schedule, start)
    for tolerance in (1e-4, 1e-7):
        likelihood = FlowLikelihood(start=start, rtol=tolerance, atol=tolerance)
        found = likelihood(ExactDenoiser(GAUSSIAN, schedule), x, BlockNoise(0))
        # A dozen steps, each off by the tolerance in y and, times three dimensions, in the log density.
        close(found.log_prob, truth, rtol=0, atol=10 * tolerance)


def test_the_path_starts_where_the_model_does_unless_told():
    x, schedule = GAUSSIAN.sample(2, torch.Generator().manual_seed(0)), LinearBetas(50)
    close(
        FlowLikelihood()(ExactDenoiser(GAUSSIAN, schedule), x, BlockNoise(0)).log_prob,
        flow_of_a_gaussian(x, schedule, 1 / 50),
        rtol=0,
        atol=1e-4,
    )


def test_what_is_found_is_the_density_of_blurred_data():
    schedule, start = LinearVP(), 0.1
    level = schedule.level(start)
    ratio = level.sigma / level.alpha
    blurred = gaussian(MEAN, COVARIANCE + ratio**2 * torch.eye(3, dtype=torch.float64))
    x = GAUSSIAN.sample(6, torch.Generator().manual_seed(0))
    found = FlowLikelihood(start=start)(ExactDenoiser(GAUSSIAN, schedule), x, BlockNoise(0)).log_prob
    # LinearVP leaves alpha = 0.0066 of the mean, |m| = 1.2, at t = 1: 0.008·|x| of the log density.
    close(found, clean_log_prob(blurred, x), rtol=0, atol=0.02)
    # It differs from the clean data's, which the tolerance would show.
    assert float((found - clean_log_prob(GAUSSIAN, x)).abs().max()) > 0.05


@pytest.mark.parametrize("signs", [True, False], ids=["all_signs", "unit_vectors"])
def test_the_trace_is_the_jacobian_s_diagonal(signs):
    matrix = randn(5, 3, 3, seed=1)

    def field(x):
        return torch.tanh(torch.einsum("bij,bj->bi", matrix, x)) + x.prod(1, keepdim=True)

    x = randn(5, 3)
    jacobian = torch.stack([torch.autograd.functional.jacobian(field, x)[i, :, i] for i in range(5)])
    truth = jacobian.diagonal(dim1=1, dim2=2).sum(1)
    # Over all eight sign vectors Σ u uᵀ/8 is the identity: Hutchinson's mean is the trace, to rounding.
    every = number(list(itertools.product([-1.0, 1.0], repeat=3))) / 8**0.5
    directions = every[:, None].expand(8, 5, 3) if signs else ExactTrace().directions(x, BlockNoise(0))
    with torch.no_grad():
        value, trace = value_and_trace(field, x, directions)
    close(value, field(x))
    close(trace, truth)
    assert not trace.requires_grad


def test_unit_vectors_fit_pictures():
    directions = ExactTrace().directions(randn(2, 3, 4, 4).float(), BlockNoise(0))
    assert directions.shape == (48, 2, 3, 4, 4)
    close(directions.double().square().sum(0), torch.ones(2, 3, 4, 4))
    close(directions.double().flatten(2)[:, 1], torch.eye(48))


def test_probes_are_signs_of_the_noise_that_is_given():
    z = randn(2, 3)
    close(Hutchinson(4).directions(z, FixedNoise(z)), (z.sign() / 2).expand(4, 2, 3))
    different = Hutchinson(2).directions(z, BlockNoise(0))
    assert not torch.equal(different[0], different[1])


def test_evaluations_and_products_are_counted():
    runs = []

    class Counted(ExactDenoiser):
        def estimate(self, x_t, t, condition=None):
            runs.append(1)
            return super().estimate(x_t, t, condition)

    x = GAUSSIAN.sample(2, torch.Generator().manual_seed(0))
    found = FlowLikelihood(Hutchinson(5))(Counted(GAUSSIAN, LinearVP()), x, BlockNoise(0))
    assert found.evaluations == len(runs) > 10
    assert found.products == 5 * len(runs)


def test_no_level_beyond_pure_noise_is_asked_about():
    times = []

    class Watched(ExactDenoiser):
        def estimate(self, x_t, t, condition=None):
            times.append(float(t))
            return super().estimate(x_t, t, condition)

    x = GAUSSIAN.sample(2, torch.Generator().manual_seed(0))
    FlowLikelihood(start=0.01)(Watched(GAUSSIAN, RectifiedFlow()), x, BlockNoise(0))
    # Times are found from angles by halving, to rounding.
    close(min(times), 0.01)
    close(max(times), 1.0)
    assert max(times) <= 1.0


def test_company_changes_nothing_beyond_the_tolerance():
    mixture = power_law_mixture(2)
    x, likelihood = mixture.sample(6, torch.Generator().manual_seed(0)), FlowLikelihood(Hutchinson(2))
    denoiser = ExactDenoiser(mixture, RectifiedFlow())
    together = likelihood(denoiser, x, SeededNoise(range(6))).log_prob
    for i in range(6):
        alone = likelihood(denoiser, x[i : i + 1], SeededNoise([i])).log_prob
        # The same probes: what is left is the solver's 1e-5 a step and dimension.
        close(together[i : i + 1], alone, rtol=0, atol=1e-3)


def test_the_worst_image_decides():
    errors = number([[3.0, 4.0, 0.0], [0.0, 0.0, 2.0], [0.0, 1.0, -7.0]])
    close(worst_image(errors[:2]), math.sqrt(12.5))
    close(worst_image(errors[1:]), 7.0)


def test_float32_is_kept_and_close():
    x = GAUSSIAN.sample(4, torch.Generator().manual_seed(0))
    likelihood, denoiser = FlowLikelihood(start=1e-3), ExactDenoiser(GAUSSIAN, LinearVP())
    exact = likelihood(denoiser, x, BlockNoise(0)).log_prob

    class Narrow(ExactDenoiser):
        def estimate(self, x_t, t, condition=None):
            estimate = super().estimate(x_t.double(), t, condition)
            return type(estimate)(estimate.x0.to(x_t.dtype), estimate.eps.to(x_t.dtype))

    found = likelihood(Narrow(GAUSSIAN, LinearVP()), x.float(), BlockNoise(0)).log_prob
    assert found.dtype == torch.float32
    close(found.double(), exact, rtol=0, atol=3e-3)


@pytest.mark.parametrize("start", [0.0, 1.0, -0.1, 1.5])
def test_paths_that_start_nowhere_are_refused(start):
    with pytest.raises(ConfigError, match="a little noise"):
        FlowLikelihood(start=start)(ExactDenoiser(GAUSSIAN, LinearVP()), randn(2, 3), BlockNoise(0))


def test_a_flow_that_cannot_be_followed_is_an_error_of_one_line():
    class Broken(ExactDenoiser):
        def estimate(self, x_t, t, condition=None):
            estimate = super().estimate(x_t, t, condition)
            return type(estimate)(estimate.x0 / (t < 0.5), estimate.eps)

    with pytest.raises(ConfigError, match="cannot be followed"):
        FlowLikelihood()(Broken(GAUSSIAN, LinearVP()), randn(2, 3), BlockNoise(0))


def test_no_probe_is_refused():
    with pytest.raises(ConfigError, match="at least 1 probe"):
        Hutchinson(0)


# Dequantisation.

WIDTH = 0.5
LEVELS = WIDTH * torch.arange(-12, 13, dtype=torch.float64)[:, None]
SMOOTHED = gaussian(number([0.0]), number([[0.7]]))
"""A density; rounding its samples to a grid of 0.5 gives values whose probabilities are known."""


def test_rounded_data_is_no_likelier_than_its_probability_says():
    edges = torch.cat([LEVELS - WIDTH / 2, LEVELS[-1:] + WIDTH / 2])[:, 0]
    mass = torch.special.ndtr(edges / 0.7**0.5).diff()
    denoiser, n = ExactDenoiser(SMOOTHED, RectifiedFlow()), 40
    x = LEVELS.repeat_interleave(n, 0)
    found = Dequantised(FlowLikelihood(), WIDTH)(denoiser, x, BlockNoise(0)).log_prob.reshape(25, n)
    mean, error = found.mean(1), found.std(1) / n**0.5
    # By Jensen, E[log p(x + u)] + log w: −½(x² + w²/12)/v − ½ log(2πv) + log w for a Gaussian.
    truth = (
        -0.5 * (LEVELS[:, 0] ** 2 + WIDTH**2 / 12) / 0.7 - 0.5 * math.log(2 * math.pi * 0.7) + math.log(WIDTH)
    )
    assert bool(((mean - truth).abs() < 4.5 * error + 1e-3).all())
    assert bool((truth <= mass.log() + 1e-12).all())
    # It costs little in total: the bins are narrow.
    close((mass * (mass.log() - truth)).sum(), 0.0, atol=0.02)


def test_the_place_in_the_bin_is_uniform_and_its_own_noise_s():
    places = []

    class Spy(FlowLikelihood):
        def __call__(self, denoiser, x0, noise, condition=None):
            places.append(x0)
            return super().__call__(denoiser, x0, noise, condition)

    n = 4000
    noise = BlockNoise(0)
    Dequantised(Spy(rtol=1e-2, atol=1e-2), WIDTH)(
        ExactDenoiser(SMOOTHED, RectifiedFlow()), torch.ones(n, 1, dtype=torch.float64), noise
    )
    share = ((places[0][:, 0] - 1) / WIDTH + 0.5).sort().values
    # Kolmogorov's statistic, whose 99.9 % point is 1.95/sqrt(n).
    steps = torch.arange(n, dtype=torch.float64) / n
    assert float((share - steps).abs().max()) < 1.95 / n**0.5 + 1 / n


def test_bins_without_width_are_refused():
    with pytest.raises(ConfigError, match="width above 0"):
        Dequantised(FlowLikelihood(), 0.0)


def test_the_first_time_has_next_to_no_noise():
    for name in NOISY_ENDS:
        schedule = SCHEDULES[name]
        level = schedule.level(first_time(schedule))
        assert float(level.sigma / level.alpha) <= max(1e-3, float(schedule.level(0.0).sigma)) * (1 + 1e-6)

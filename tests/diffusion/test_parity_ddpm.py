"""Parity of the one stochastic step with diffusers' DDPM and DDIM, and where diffusers is wrong.

Both walk under one network in closed form and the same noise. Index k of T steps is our time (k + 1)/T. The
schedulers' tables, which they keep in float32, are rebuilt here in float64 from the papers' formulas, so that
what is compared is the steps: to 1e-5 of the state. Theirs is followed level by level, because a step of
theirs does not always end where the next one starts; the last tests measure what that costs.
"""

import math
from dataclasses import dataclass
from itertools import product

import pytest
import torch

from sfumato.diffusion.denoiser import NetworkDenoiser
from sfumato.diffusion.exact import ExactDenoiser, gaussian
from sfumato.diffusion.grids import check_grid
from sfumato.diffusion.prediction import Data, Noise, V
from sfumato.diffusion.samplers import Posterior, PosteriorMean, Question, Stochastic, ddim, sample_frames
from sfumato.diffusion.schedules import cosine_betas, linear_betas
from sfumato.diffusion.variance import FixedLarge, FixedSmall, LearnedRange

from .helpers import COVARIANCE, MEAN, number, randn
from .test_orders import flow

diffusers = pytest.importorskip("diffusers", reason="diffusers is a development dependency")

T = 1000
SPACINGS = ("leading", "trailing", "linspace")
PREDICTIONS = {"epsilon": Noise(), "sample": Data(), "v_prediction": V()}
VARIANCES = {"fixed_small": FixedSmall(), "fixed_large": FixedLarge(), "learned_range": LearnedRange()}
OURS = {"linear": linear_betas(T), "squaredcos_cap_v2": cosine_betas(T)}
every_prediction = pytest.mark.parametrize("prediction", PREDICTIONS)
every_spacing = pytest.mark.parametrize("spacing", SPACINGS)
every_betas = pytest.mark.parametrize("betas", OURS)


def cosine_beta(i):
    """Nichol & Dhariwal 2021, equation 17."""
    f = [math.cos((j / T + 0.008) / 1.008 * math.pi / 2) ** 2 for j in (i, i + 1)]
    return min(1 - f[1] / f[0], 0.999)


TABLES = {
    "linear": torch.linspace(1e-4, 0.02, T, dtype=torch.float64),
    "squaredcos_cap_v2": number([cosine_beta(i) for i in range(T)]),
}


def scheduler_of(kind, betas, **options):
    """A scheduler of theirs whose tables are in float64 and which clips nothing."""
    scheduler = getattr(diffusers, kind)(T, beta_schedule=betas, clip_sample=False, **options)
    # Theirs first: the formula of the table is the same to float32.
    torch.testing.assert_close(scheduler.betas.double(), TABLES[betas], rtol=1e-5, atol=0)
    scheduler.alphas_cumprod = (1 - TABLES[betas]).cumprod(0)
    scheduler.one = number(1.0)
    scheduler.final_alpha_cumprod = (
        number(1.0) if options.get("set_alpha_to_one", True) else scheduler.alphas_cumprod[0]
    )
    return scheduler


def network(x_t, t, outputs):
    """A smooth function of what both sides know, with `outputs` times as many channels."""
    shared = [0.8 * (x_t + k).sin() + 0.3 * torch.cos(3 * t + k) - 0.1 * x_t for k in range(outputs)]
    return torch.cat(shared, 1)


class AsItIs:
    """A view that shows x_t and t themselves."""

    def show(self, x_t, level):
        return x_t, level.t


class Unchecked(NetworkDenoiser):
    """Ours refuses noise prediction where the cosine betas have left 5e-5 of the signal; theirs divides."""

    def __post_init__(self):
        pass


def denoiser_of(betas, prediction, variance=FixedSmall()):  # noqa: B008
    def shown(x, t, condition):
        return network(x, t, variance.outputs)

    return Unchecked(shown, OURS[betas], PREDICTIONS[prediction], AsItIs(), variance)


@dataclass
class Stream:
    """A generator as a source of noise: the stream that diffusers draws from."""

    generator: torch.Generator

    def normal(self, shape):
        return torch.randn(*shape, generator=self.generator, dtype=torch.float64)


def stream():
    return torch.Generator().manual_seed(7)


def time_of(k):
    return (int(k) + 1) / T


def output_for(x, k, outputs=1):
    return network(x, number(time_of(k)), outputs)


def agree(ours, theirs):
    # Relative to the state, whose entries pass 0; noise prediction on cosine betas makes it 1e4 large.
    assert float((ours - theirs).abs().max()) <= 1e-5 * float(theirs.abs().max())
    # What float64 gives in fact, after a thousand steps too.
    assert float((ours - theirs).abs().max()) <= 1e-8 * float(theirs.abs().max())


def ddpm_states(scheduler, x, outputs):
    """Their states from x on, one a step."""
    draws = stream()
    for k in scheduler.timesteps:
        x = scheduler.step(output_for(x, k, outputs), k, x, generator=draws).prev_sample
        yield x


# All T steps are one walk whatever the spacing, and long: one prediction takes it.
WALKS = [
    *product([10, 7], SPACINGS, PREDICTIONS),
    (T, "leading", "v_prediction"),
]


@every_betas
@pytest.mark.parametrize("variance", VARIANCES)
@pytest.mark.parametrize(("steps", "spacing", "prediction"), WALKS)
def test_ddpm(betas, prediction, variance, steps, spacing):
    scheduler = scheduler_of(
        "DDPMScheduler", betas, prediction_type=prediction, variance_type=variance, timestep_spacing=spacing
    )
    scheduler.set_timesteps(steps)
    ours, x = VARIANCES[variance], randn(3, 2)
    times = check_grid(number([*(time_of(k) for k in scheduler.timesteps), 0.0]))
    sampler = Stochastic(PosteriorMean(ours))
    frames = list(sample_frames(denoiser_of(betas, prediction, ours), sampler, x, times, Stream(stream())))
    theirs = list(ddpm_states(scheduler, x, ours.outputs))
    # Their last step draws noise unless it starts at index 0, see the next test; ours never does.
    compared = steps - (1 if int(scheduler.timesteps[-1]) > 0 else 0)
    for frame, truth in list(zip(frames[1:], theirs, strict=True))[:compared]:
        agree(frame.x, truth)
    # All but trailing steps reach index 0.
    assert compared == steps - (spacing == "trailing")


@pytest.mark.parametrize(("variance", "excess"), [("fixed_large", 10.0), ("fixed_small", 1.0)])
def test_ddpm_s_trailing_steps_end_in_noise_in_theirs_and_on_the_estimate_in_ours(variance, excess):
    """Their test for the last step is `t > 0`, but with trailing steps the last one starts above index 0.

    With the larger variance it adds the whole transition's noise to the finished sample, which Ho et al.
    2020, algorithm 2, leave out (z = 0). Here the data's deviation is 0.01, and the denoiser exact.
    """
    schedule, n, deviation = OURS["linear"], 4000, 0.01
    scheduler = scheduler_of("DDPMScheduler", "linear", variance_type=variance, timestep_spacing="trailing")
    scheduler.set_timesteps(10)
    k = scheduler.timesteps[-1]
    assert int(k) == 99
    level = schedule.level(number(time_of(k)))
    denoiser = ExactDenoiser(gaussian(number([0.5]), number([[deviation**2]])), schedule)
    x = level.alpha * (0.5 + deviation * randn(n, 1)) + level.sigma * randn(n, 1, seed=1)
    eps = denoiser.estimate(x, number(time_of(k))).eps
    theirs = scheduler.step(eps, k, x, generator=stream()).prev_sample
    ask = Question(denoiser)
    sampler = Stochastic(PosteriorMean(VARIANCES[variance]))
    ours = sampler.step(ask, x, ask.at(time_of(k)), ask.at(0.0), None, None).x
    assert float(ours.std()) < deviation
    # sqrt(1 − alpha-bar) at index 99 is 0.32, thirty times the data's deviation.
    assert (float(theirs.std()) > excess * deviation) == (variance == "fixed_large")


def pairs_of(scheduler, steps):
    """The (t, s) that DDIM's steps go through: from an index to the one T // K below it, or to the end."""
    for k in scheduler.timesteps.tolist():
        before = k - T // steps
        final = 0.0 if float(scheduler.final_alpha_cumprod) == 1 else time_of(0)
        yield k, time_of(k), time_of(before) if before >= 0 else final


@every_betas
@every_prediction
@every_spacing
@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("steps", [10, 7])
def test_ddim_step_by_step(betas, prediction, spacing, eta, steps):
    scheduler = scheduler_of("DDIMScheduler", betas, prediction_type=prediction, timestep_spacing=spacing)
    scheduler.set_timesteps(steps)
    ask = Question(denoiser_of(betas, prediction))
    x, ours, theirs = randn(3, 2), Stream(stream()), stream()
    for k, t, s in pairs_of(scheduler, steps):
        step = Stochastic(Posterior(eta)).step(ask, x, ask.at(t), ask.at(s), ours, None).x
        x = scheduler.step(output_for(x, k), k, x, eta=eta, generator=theirs).prev_sample
        agree(step, x)


@every_betas
@every_prediction
@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("steps", [10, 50])
def test_ddim_as_a_walk_where_the_number_of_steps_divides_t(betas, prediction, eta, steps):
    scheduler = scheduler_of("DDIMScheduler", betas, prediction_type=prediction, timestep_spacing="trailing")
    scheduler.set_timesteps(steps)
    x, theirs = randn(3, 2), stream()
    times = torch.linspace(1, 0, steps + 1, dtype=torch.float64)
    denoiser, sampler = denoiser_of(betas, prediction), Stochastic(Posterior(eta))
    frames = list(sample_frames(denoiser, sampler, x, times, Stream(stream())))
    for frame, k in zip(frames[1:-1], scheduler.timesteps[:-1], strict=True):
        x = scheduler.step(output_for(x, k), k, x, eta=eta, generator=theirs).prev_sample
        agree(frame.x, x)
    k = scheduler.timesteps[-1]
    last = scheduler.step(output_for(x, k), k, x, eta=eta, generator=theirs).prev_sample
    # T // K below the last index K − 1 is −1: here the walk does end at the clean end.
    agree(frames[-1].x, last)


def test_ddim_with_set_alpha_to_one_off_ends_on_the_first_level():
    scheduler = scheduler_of(
        "DDIMScheduler", "linear", set_alpha_to_one=False, prediction_type="v_prediction"
    )
    scheduler.set_timesteps(10)
    *_, (k, t, s) = pairs_of(scheduler, 10)
    ask, x = Question(denoiser_of("linear", "v_prediction")), randn(3, 2)
    assert (k, t, s) == (0, 1 / T, 1 / T)
    theirs = scheduler.step(output_for(x, k), k, x).prev_sample
    agree(ddim().step(ask, x, ask.at(t), ask.at(s), None, None).x, theirs)
    # From the first level to the first level is no step at all: the last evaluation was for nothing.
    agree(theirs, x)


def oracle_errors(spacing, steps):
    """Errors at the end, against the exact flow of a Gaussian from the same start: theirs, and ours."""
    schedule, scheduler = OURS["linear"], scheduler_of("DDIMScheduler", "linear", timestep_spacing=spacing)
    scheduler.set_timesteps(steps)
    denoiser = ExactDenoiser(gaussian(MEAN, COVARIANCE), schedule)
    first = time_of(scheduler.timesteps[0])
    level = schedule.level(number(first))
    start = level.alpha * MEAN + randn(16, 3) * level.sigma
    theirs = start
    for k in scheduler.timesteps:
        theirs = scheduler.step(denoiser.estimate(theirs, number(time_of(k))).eps, k, theirs).prev_sample
    times = number([*(time_of(k) for k in scheduler.timesteps), 0.0])
    *_, last = sample_frames(denoiser, ddim(), start, times, None)
    truth = flow(schedule, start, first, 0.0)
    return float((theirs - truth).norm()), float((last.x - truth).norm())


@pytest.mark.parametrize("spacing", ["trailing", "linspace"])
def test_a_ddim_step_that_ends_where_the_next_does_not_start_does_not_converge(spacing):
    """`prev_timestep = t − T // K` is the next index only where the spacing is T // K everywhere.

    Elsewhere each step stops at a level that the next one does not take its result to be at. With few steps
    that is small beside DDIM's own error, and may even offset a part of it; with many it is all the error,
    and grows: at K = 600 of 1,000 the steps of theirs are 1 long and the indices 1.67 apart. Ours carries
    (t, s) along the same indices, and its error falls as 1/K.
    """
    (theirs_60, ours_60), (theirs_600, ours_600) = (oracle_errors(spacing, steps) for steps in (60, 600))
    # A tenth by the order, 1, but for the ends of the indices, which move with K.
    assert ours_600 < 0.15 * ours_60
    assert theirs_600 > 5 * theirs_60
    assert theirs_600 > 50 * ours_600


@pytest.mark.parametrize("steps", [10, 50])
def test_where_the_spacing_is_whole_both_err_alike(steps):
    for spacing in ("leading", "trailing"):
        theirs, ours = oracle_errors(spacing, steps)
        assert theirs == pytest.approx(ours, rel=1e-9)


@pytest.mark.parametrize(("steps", "end"), [(7, 1 / T), (60, 1 / T), (600, 1 / T), (30, 0.0), (10, 0.0)])
def test_trailing_ddim_steps_may_not_end_at_the_data(steps, end):
    """Where T/K rounds up, T // K below the last index is index 0, whose noise theirs leaves in."""
    scheduler = scheduler_of("DDIMScheduler", "linear", timestep_spacing="trailing")
    scheduler.set_timesteps(steps)
    *_, (k, t, s) = pairs_of(scheduler, steps)
    assert s == end
    ask, x = Question(denoiser_of("linear", "v_prediction")), randn(3, 2)
    theirs = scheduler_of("DDIMScheduler", "linear", prediction_type="v_prediction")
    theirs.set_timesteps(steps)
    last = theirs.step(output_for(x, k), k, x).prev_sample
    agree(ddim().step(ask, x, ask.at(t), ask.at(end), None, None).x, last)
    to_data = ddim().step(ask, x, ask.at(t), ask.at(0.0), None, None).x
    # sqrt(beta_1) = 0.01 of the noise is what is left.
    assert (float((to_data - last).abs().max()) > 1e-3) == (end > 0)


@pytest.mark.parametrize("steps", [7, 10])
def test_leading_steps_never_visit_the_noisiest_level(steps):
    """They start at index (K − 1)·(T // K), and are given pure noise there, where signal should be left.

    The mean of the data is then pulled towards 0: exactly, for the mean of the walk on a Gaussian.
    """
    schedule, scheduler = OURS["linear"], scheduler_of("DDIMScheduler", "linear", timestep_spacing="leading")
    scheduler.set_timesteps(steps)
    first = time_of(scheduler.timesteps[0])
    assert first < 1 - 0.9 / steps
    denoiser = ExactDenoiser(gaussian(MEAN, COVARIANCE), schedule)
    leading = number([*(time_of(k) for k in scheduler.timesteps), 0.0])
    whole = torch.linspace(1, 0, steps + 1, dtype=torch.float64)
    # DDIM is linear here, so pure noise's mean, 0, goes to the mean of the samples.
    ends = [list(sample_frames(denoiser, ddim(), torch.zeros(1, 3), t, None))[-1].x for t in (leading, whole)]
    errors = [float((end - MEAN).norm()) for end in ends]
    # What is missing is alpha at the first level times the flow's stretch; at t = 1 that is 0.006.
    assert errors[0] > 2 * errors[1]
    assert float(schedule.level(first).alpha) > 2 * float(schedule.level(1.0).alpha)

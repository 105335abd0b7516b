"""Langevin dynamics: its move, what it leaves invariant, and the two samplers made of it."""

import itertools
import math

import pytest
import torch

from sfumato.diffusion.exact import ExactDenoiser, GaussianMixture, gaussian
from sfumato.diffusion.grids import LogSNRGrid, UniformGrid
from sfumato.diffusion.samplers import (
    AnnealedLangevin,
    DPMSolverPP,
    EulerMaruyama,
    PredictorCorrector,
    Question,
    Step,
    UniPC,
    check_sampler,
    ddim,
    predictor_corrector,
    sample_frames,
)
from sfumato.diffusion.samplers.langevin import moved
from sfumato.diffusion.schedules import GeometricVE, LinearVE, LinearVP, NoiseSteps
from sfumato.errors import ConfigError
from sfumato.randomness import generator
from sfumato.verify.pieces import NO_SIGNAL_AT_ONE, PARTICULAR, SCHEDULES, SMOOTH

from .helpers import COVARIANCE, MEAN, BlockNoise, FixedNoise, KnownDenoiser, close, number, randn
from .test_stochastic import after_step, law_of_chain

X0, Z = number([[0.3, -0.8]]), number([[1.1, -0.4]])
MIXTURE = GaussianMixture.of(
    number([0.1, 0.3, 0.6]),
    number([[-1.0, -1.0], [1.0, -0.5], [0.0, 1.0]]),
    number([[[0.01, 0.0], [0.0, 0.01]], [[0.04, 0.03], [0.03, 0.04]], [[0.02, 0.0], [0.0, 0.02]]]),
)


def known(schedule):
    return Question(KnownDenoiser(schedule, X0))


class Moving:
    """One Langevin move as a sampler, at the level of t on any schedule."""

    def __init__(self, size):
        self.size = size

    def step(self, ask, x_t, t, s, noise, memory):
        estimate = ask(x_t, t)
        return Step(moved(x_t, estimate.eps, t.sigma, self.size, noise), estimate.x0)


def test_a_move_is_song_and_ermon_s_algorithm_1():
    # x + alpha_i/2·score + sqrt(alpha_i)·z with alpha_i = eps·sigma_i²/sigma_L², line 4 and 6.
    epsilon, sigma_last, sigma = 2e-5, 0.01, 1.7
    x, eps = randn(1, 2), randn(1, 2, seed=1)
    alpha = epsilon * sigma**2 / sigma_last**2
    truth = x + 0.5 * alpha * (-eps / sigma) + math.sqrt(alpha) * Z
    close(moved(x, eps, sigma, epsilon / sigma_last**2, FixedNoise(Z)), truth)


@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
@pytest.mark.parametrize("t", [0.2, 0.6])
def test_a_move_leaves_its_level_s_distribution_to_the_order_of_its_size(schedule, t):
    mean, variance, size = 0.5, 0.4, 0.1
    ask = Question(ExactDenoiser(gaussian(number([mean]), number([[variance]])), schedule))
    level = ask.at(t)
    whole = level.alpha**2 * variance + level.sigma**2
    m, v = after_step(ask, Moving(size), t, t, level.alpha * mean, whole)
    close(m, level.alpha * mean)
    # (1 − ½ r sigma²/V)² V + r sigma² is V but for the square's last term; the two cross terms must cancel.
    close(v - whole, 0.25 * size**2 * level.sigma**4 / whole)
    # And the variance that a move does leave as it is.
    invariant = whole / (1 - size * level.sigma**2 / (4 * whole))
    close(after_step(ask, Moving(size), t, t, level.alpha * mean, invariant)[1], invariant)


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("steps", [20, 40])
def test_annealed_langevin_finds_a_mixture(steps, seed):
    n, schedule, noise = 2000, GeometricVE(0.05, 10.0), BlockNoise(seed)
    denoiser = ExactDenoiser(MIXTURE, schedule)
    x, times = schedule.prior_std * noise.normal((n, 2)), UniformGrid().times(steps, schedule)
    x = list(sample_frames(denoiser, AnnealedLangevin(), x, times, noise))[-1].x
    truth = MIXTURE.sample(n, generator(seed, "truth"))

    def energy_distance(a, b):
        return float(2 * torch.cdist(a, b).mean() - torch.cdist(a, a).mean() - torch.cdist(b, b).mean())

    # Two sets of 2,000 true samples are about 0.001 apart, noise in the plane 0.8. Levels 1.3 (20) and 1.14
    # (40) times apart are left a little early, which shows as some 4 % too much weight in the small mode.
    assert energy_distance(x, truth) < 0.02
    shares = torch.cdist(x, MIXTURE.means).argmin(1).bincount(minlength=3) / n
    # Two standard errors of a share are 0.02.
    assert float((shares - MIXTURE.weights).abs().max()) < 0.06 + 0.02


def test_more_rounds_come_closer():
    # The variance of a Gaussian along the ladder, exactly: what is left of the levels' excess falls with
    # rounds. The last step, whose estimate takes out the noise of the cleanest level, is left out.
    schedule, errors = GeometricVE(0.05, 10.0), []
    times = UniformGrid().times(20, schedule)[:-1].tolist()
    for rounds in (1, 2, 4):
        ask = Question(ExactDenoiser(gaussian(number([0.5]), number([[0.4]])), schedule))
        m, v = 0.0, schedule.prior_std**2
        for t, s in itertools.pairwise(times):
            for _ in range(rounds):
                m, v = after_step(ask, AnnealedLangevin(0.5, 1), t, s, m, v)
        truth = 0.4 + float(schedule.level(times[-2]).sigma) ** 2
        errors.append(abs(v - truth))
    assert errors[0] > 2 * errors[1] > 4 * errors[2]


def test_it_starts_each_level_where_the_last_one_ended_and_ends_on_the_estimate():
    schedule = LinearVE(10.0)
    denoiser = ExactDenoiser(gaussian(MEAN, COVARIANCE), schedule)
    x, times, z = 10 * randn(2, 3), number([1.0, 0.5, 0.1, 0.0]), randn(2, 3, seed=1)
    frames = list(sample_frames(denoiser, AnnealedLangevin(0.3, 2), x, times, FixedNoise(z)))
    for t in (1.0, 0.5, 0.1):
        for _ in range(2):
            before = denoiser.estimate(x, number(t))
            x = x - 0.15 * 10 * t * before.eps + math.sqrt(0.3) * 10 * t * z
        if t == 0.5:
            close(frames[2].x, x)
            close(frames[2].x0, before.x0)
    close(frames[3].x, denoiser.estimate(x, number(0.1)).x0)
    close(frames[3].x0, frames[3].x)
    # Two rounds at each of three levels, and the estimate at last.
    assert [frame.evaluations for frame in frames] == [0, 2, 4, 7]


def test_the_defaults():
    assert AnnealedLangevin() == AnnealedLangevin(0.5, 5)
    assert predictor_corrector() == PredictorCorrector(EulerMaruyama(), 0.16, 1)
    assert predictor_corrector(0.2, 3) == PredictorCorrector(EulerMaruyama(), 0.2, 3)


@pytest.mark.parametrize("name", SCHEDULES)
def test_annealing_goes_with_levels_that_keep_the_signal_s_scale(name):
    schedule, sampler = SCHEDULES[name], AnnealedLangevin()
    if name in PARTICULAR["langevin"]:
        check_sampler(sampler, schedule)
        return
    denoiser = ExactDenoiser(gaussian(MEAN, COVARIANCE), schedule)
    times = UniformGrid().times(3, schedule)
    with pytest.raises(
        ConfigError, match=rf"{type(schedule).__name__} scales the signal.*'exploding'"
    ) as caught:
        next(sample_frames(denoiser, sampler, randn(2, 3), times, BlockNoise(0)))
    assert "\n" not in str(caught.value)
    # It is the annealing that needs such levels: a corrector does not.
    check_sampler(predictor_corrector(), schedule)
    with pytest.raises(ConfigError, match="scales the signal"):
        check_sampler(PredictorCorrector(sampler), schedule)


def test_annealing_needs_levels_to_anneal():
    with pytest.raises(ConfigError, match="ladder of noise levels"):
        AnnealedLangevin().check(NoiseSteps((2.0,)))
    AnnealedLangevin().check(NoiseSteps((2.0, 0.1)))


@pytest.mark.parametrize(
    "build",
    [
        lambda: AnnealedLangevin(size=0.0),
        lambda: AnnealedLangevin(size=4.0),
        lambda: AnnealedLangevin(size=math.nan),
        lambda: AnnealedLangevin(rounds=0),
        lambda: predictor_corrector(snr=0.0),
        lambda: predictor_corrector(snr=1.0),
        lambda: predictor_corrector(rounds=0),
    ],
)
def test_bad_arguments_are_config_errors_of_one_line(build):
    with pytest.raises(ConfigError) as caught:
        build()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", [name for name in SCHEDULES if name not in PARTICULAR["langevin"]])
def test_a_corrector_is_the_paper_s_algorithm_5_under_the_norms_of_noise(name):
    # eps = 2·alpha_i·(r·‖z‖/‖score‖)², alpha_i = 1 − beta_i = (alpha_t/alpha_s)², ‖z‖/‖score‖ = sigma;
    # x + eps·score + sqrt(2·eps)·z, once a round, then the predictor.
    ask, x, snr = known(SCHEDULES[name]), randn(1, 2), 0.2
    t, s = ask.at(0.7), ask.at(0.6)
    size = 2 * (t.alpha / s.alpha) ** 2 * (snr * t.sigma) ** 2
    corrected = x
    for _ in range(2):
        score = -(corrected - t.alpha * X0) / t.sigma**2
        corrected = corrected + size * score + math.sqrt(2 * size) * Z
    truth = ddim().step(ask, corrected, t, s, None, None)
    step = PredictorCorrector(ddim(), snr, 2).step(ask, x, t, s, FixedNoise(Z), None)
    close(step.x, truth.x)
    close(step.x0, truth.x0)


@pytest.mark.parametrize("name", NO_SIGNAL_AT_ONE)
def test_pure_noise_has_nothing_to_correct(name):
    ask, x = known(SCHEDULES[name]), randn(1, 2)
    t, s = ask.at(1.0), ask.at(0.8)
    truth = EulerMaruyama().step(ask, x, t, s, FixedNoise(Z), None).x
    before = ask.evaluations
    assert torch.equal(predictor_corrector().step(ask, x, t, s, FixedNoise(Z), None).x, truth)
    assert ask.evaluations == before + 1


def test_a_corrector_adds_its_rounds_to_the_evaluations_at_every_step():
    frames = list(
        sample_frames(
            KnownDenoiser(LinearVP(), X0),
            predictor_corrector(rounds=3),
            randn(1, 2),
            UniformGrid().times(3, LinearVP()),
            FixedNoise(Z),
        )
    )
    assert [frame.evaluations for frame in frames] == [0, 4, 8, 12]


def test_a_predictor_that_would_lose_the_moves_is_refused():
    with pytest.raises(ConfigError, match="UniPC corrects by itself"):
        PredictorCorrector(UniPC())


def test_the_predictor_keeps_its_memory():
    ask, x, sampler = known(LinearVP()), randn(1, 2), PredictorCorrector(DPMSolverPP(2))
    first = sampler.step(ask, x, ask.at(0.8), ask.at(0.6), FixedNoise(Z), None)
    remembered = sampler.step(ask, first.x, ask.at(0.6), ask.at(0.5), FixedNoise(Z), first.memory)
    alone = DPMSolverPP(2).step(
        ask,
        moved(
            first.x, ask(first.x, ask.at(0.6)).eps, ask.at(0.6).sigma, corrector_size(0.6, 0.5), FixedNoise(Z)
        ),
        ask.at(0.6),
        ask.at(0.5),
        None,
        first.memory,
    )
    assert first.memory is not None
    close(remembered.x, alone.x)


def corrector_size(t, s):
    at = LinearVP().level(number([t, s]))
    return float(4 * 0.16**2 * (at.alpha[0] / at.alpha[1]) ** 2)


@pytest.mark.parametrize("schedule_name", SMOOTH)
def test_many_corrected_steps_reach_what_a_corrector_leaves_invariant(schedule_name):
    # With many moves only the corrector's own law counts: V/(1 − snr²·sigma²/V), for r is (2 snr)² as s → t.
    schedule, snr, mean, variance = SCHEDULES[schedule_name], 0.3, 0.5, 0.4
    end, errors = schedule.level(0.6), []
    whole = end.alpha**2 * variance + end.sigma**2
    invariant = whole / (1 - (snr * end.sigma) ** 2 / whole)
    for k in (200, 400):
        times = torch.linspace(0.9, 0.6, k + 1, dtype=torch.float64).tolist()
        m, v = law_of_chain(schedule, PredictorCorrector(EulerMaruyama(), snr, 2), times, mean, variance)
        errors.append((float(abs(m - end.alpha * mean)), float(abs(v - invariant))))
    # What the predictor moves in a step, of order 1/K, is all that is left; at K = 200 the next term is a
    # tenth of that, on the geometric schedule a sixth.
    assert errors[0][1] / errors[1][1] == pytest.approx(2, abs=0.2)
    assert errors[1][1] < 0.04 * float(invariant - whole)
    assert errors[1][0] <= max(0.6 * errors[0][0], 1e-12)


@pytest.mark.parametrize("schedule_name", ["linear_vp", "sub_vp", "rectified_flow", "geometric_ve"])
def test_a_predictor_corrector_s_samples_are_true_to_the_square_of_its_snr(schedule_name):
    n, schedule, noise = 20_000, SCHEDULES[schedule_name], BlockNoise(5)
    mean, covariance = number([0.5, -1.0]), number([[1.0, 0.4], [0.4, 0.5]])
    denoiser, times = ExactDenoiser(gaussian(mean, covariance), schedule), LogSNRGrid().times(60, schedule)
    x = schedule.prior_std * noise.normal((n, 2))
    x = list(sample_frames(denoiser, predictor_corrector(), x, times, noise))[-1].x
    # Five standard errors of a mean and a variance, and what 60 steps and snr² = 0.026 leave of the variance.
    assert bool(((x.mean(0) - mean).abs() < 5 * (covariance.diagonal() / n).sqrt() + 0.02).all())
    assert bool(((x.T.cov() - covariance).abs() < 5 * math.sqrt(2 / n) + 0.05).all())

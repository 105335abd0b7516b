"""The sampling loop: its frames, what it counts, and what a step remembers."""

import pytest
import torch

from sfumato.condition import Condition
from sfumato.diffusion.exact import ExactDenoiser, gaussian
from sfumato.diffusion.grids import LogSNRGrid, UniformGrid
from sfumato.diffusion.guidance import ClassifierFree
from sfumato.diffusion.samplers import Step, sample_frames
from sfumato.errors import ConfigError
from sfumato.verify.pieces import ADAPTIVE, BETWEEN, GRIDS, PARTICULAR, SAMPLERS, SCHEDULES, WALKS

from .helpers import COVARIANCE, MEAN, FixedNoise, KnownDenoiser, close, number, randn

SCHEDULE = SCHEDULES["linear_vp"]
NOISE = FixedNoise(number(0.5))
X0 = number([[0.3, -0.8]])
# Langevin has a test of its own: this schedule scales the signal.
every_sampler = pytest.mark.parametrize("name", [name for name in SAMPLERS if name not in PARTICULAR])
# Heun asks twice, but not about the clean end: 2K − 1. A corrector asks once more at every step.
COUNTS = {"heun": [0, 2, 4, 6, 7], "churn": [0, 2, 4, 6, 7], "predictor_corrector": [0, 2, 4, 6, 8]}
COUNTABLE = [name for name in SAMPLERS if name not in (*PARTICULAR, *ADAPTIVE)]
# Asked at 1, 0.75, 0.5, 0.25; Heun also at the end of each step but the last.
GUIDED = {
    "heun": [0, 3, 7, 10, 11],
    "predictor_corrector": [0, 2, 6, 10, 12],
    "fixed_level": [0, 1, 2, 3, 4],  # always asked at 1
}


def frames_of(denoiser, sampler, steps=4, condition=None):
    times = UniformGrid().times(steps, SCHEDULE)
    return list(sample_frames(denoiser, sampler, randn(2, 2), times, NOISE, condition))


@every_sampler
def test_frames_tell_where_sampling_is(name):
    frames = frames_of(KnownDenoiser(SCHEDULE, X0), SAMPLERS[name])
    assert [frame.index for frame in frames] == [0, 1, 2, 3, 4]
    assert [frame.t for frame in frames] == [1.0, 0.75, 0.5, 0.25, 0.0]
    assert {frame.steps for frame in frames} == {4}
    assert torch.equal(frames[0].x, randn(2, 2))
    for frame in frames[1:]:
        close(frame.x0, X0.expand(2, 2))


@pytest.mark.parametrize("name", COUNTABLE)
def test_evaluations_a_step(name):
    counts = [frame.evaluations for frame in frames_of(KnownDenoiser(SCHEDULE, X0), SAMPLERS[name])]
    assert counts == COUNTS.get(name, [0, 1, 2, 3, 4])


@pytest.mark.parametrize("name", ["ddim", "ddpm", "renoise", "dpm_solver_pp_2m"])
@pytest.mark.parametrize("schedule_name", [name for name in SCHEDULES if name != "geometric_ve"])
def test_the_last_step_to_the_clean_end_is_the_last_estimate(schedule_name, name):
    # A geometric schedule alone has no clean end.
    schedule = SCHEDULES[schedule_name]
    denoiser = ExactDenoiser(gaussian(MEAN, COVARIANCE), schedule)
    x, times = schedule.prior_std * randn(2, 3), LogSNRGrid().times(4, schedule)
    last = list(sample_frames(denoiser, SAMPLERS[name], x, times, NOISE))[-1]
    assert bool(last.x.isfinite().all())
    close(last.x, last.x0)


# A sampler sees times, not the grid they come from: all grids with one sampler that remembers.
EVERY_WALK = [(s, "log_snr", name) for s, name in WALKS]
EVERY_GRID = [(s, grid, "dpm_solver_pp_2m") for s in SCHEDULES for grid in GRIDS]


@pytest.mark.parametrize(("schedule_name", "grid_name", "name"), EVERY_WALK + EVERY_GRID)
def test_every_sampler_walks_every_schedule_and_every_grid(schedule_name, grid_name, name):
    schedule = SCHEDULES[schedule_name]
    denoiser = ExactDenoiser(gaussian(MEAN, COVARIANCE), schedule)
    x, times = schedule.prior_std * randn(2, 3), GRIDS[grid_name].times(4, schedule)
    for frame in sample_frames(denoiser, SAMPLERS[name], x, times, NOISE):
        assert bool(frame.x.isfinite().all())
        assert bool(frame.x0.isfinite().all())


@pytest.mark.parametrize("name", [name for name in COUNTABLE if name not in BETWEEN])
def test_guidance_asks_twice_within_its_interval(name):
    condition = Condition.of(label=torch.arange(2))
    denoiser = ClassifierFree(KnownDenoiser(SCHEDULE, X0), 2.0, (0.5, 0.75))
    counts = [frame.evaluations for frame in frames_of(denoiser, SAMPLERS[name], condition=condition)]
    assert counts == GUIDED.get(name, [0, 1, 3, 5, 6])


@pytest.mark.parametrize("name", SAMPLERS)
def test_an_image_does_not_hang_on_its_batch(name):
    schedule = SCHEDULES[PARTICULAR.get(name, ("cosine_vp",))[0]]
    denoiser, z = ExactDenoiser(gaussian(MEAN, COVARIANCE), schedule), randn(3, 3, seed=1)
    x, times = schedule.prior_std * randn(3, 3), LogSNRGrid().times(4, schedule)
    together = list(sample_frames(denoiser, SAMPLERS[name], x, times, FixedNoise(z)))[-1].x
    for i in range(3):
        alone = list(sample_frames(denoiser, SAMPLERS[name], x[i : i + 1], times, FixedNoise(z[i])))[-1].x
        # Rounding alone, but for a solver whose steps are as short as the neediest image wants: it keeps its
        # tolerance of 1e-5 a step, over about ten steps.
        tolerance = 1e-4 if name in ADAPTIVE else 1e-12
        close(alone, together[i : i + 1], rtol=tolerance, atol=tolerance)


def test_guidance_everywhere_doubles_the_count():
    condition = Condition.of(label=torch.arange(2))
    guided = ClassifierFree(KnownDenoiser(SCHEDULE, X0), 2.0)
    assert frames_of(guided, SAMPLERS["ddim"], condition=condition)[-1].evaluations == 8
    assert frames_of(guided, SAMPLERS["heun"], condition=condition)[-1].evaluations == 14


def test_the_denoiser_is_asked_under_the_condition():
    seen = []

    class Asked(KnownDenoiser):
        def estimate(self, x_t, t, condition=None):
            seen.append((float(t), condition))
            return super().estimate(x_t, t, condition)

    condition = Condition.of(label=torch.arange(2))
    frames_of(Asked(SCHEDULE, X0), SAMPLERS["heun"], steps=2, condition=condition)
    assert [t for t, _ in seen] == [1.0, 0.5, 0.5]
    assert all(one is condition for _, one in seen)


class Remembering:
    """A sampler that writes down what it is handed and remembers how often it was called."""

    def __init__(self):
        self.seen = []

    def step(self, ask, x_t, t, s, noise, memory):
        self.seen.append((t.t, s.t, memory))
        return Step(x_t + 1, x_t, (memory or 0) + 1)


def test_the_loop_hands_on_state_and_memory():
    sampler = Remembering()
    frames = frames_of(KnownDenoiser(SCHEDULE, X0), sampler, steps=2)
    assert sampler.seen == [(1.0, 0.5, None), (0.5, 0.0, 1)]
    close(frames[2].x, randn(2, 2) + 2)
    close(frames[2].x0, randn(2, 2) + 1)


def test_a_step_knows_its_levels_exactly():
    class Levels:
        def step(self, ask, x_t, t, s, noise, memory):
            for scales in (t, s):
                level = SCHEDULE.level(number(scales.t))
                for name in ("alpha", "sigma", "d_alpha", "d_sigma"):
                    assert getattr(scales, name) == float(getattr(level, name))
            return Step(x_t, x_t)

    # 0.7 and 0.3 are no float32 numbers: a detour through float32 would show.
    list(sample_frames(KnownDenoiser(SCHEDULE, X0), Levels(), randn(2, 2), number([0.7, 0.3]), NOISE))


@pytest.mark.parametrize("times", [[1.0], [0.0, 1.0], [1.0, 0.5, 0.5], [1.1, 0.0], [1.0, -0.1]])
def test_times_that_do_not_fall_within_the_ends_are_refused(times):
    denoiser = ExactDenoiser(gaussian(torch.ones(2), torch.eye(2)), SCHEDULE)
    with pytest.raises(ConfigError, match="times of a sampler"):
        next(sample_frames(denoiser, SAMPLERS["ddim"], randn(2, 2), number(times), NOISE))

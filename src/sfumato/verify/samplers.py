"""Every schedule × sampler: its order, its error at a few counts of evaluations, and its samples' statistics.

Orders are measured on Gaussian data, where the flow keeps the standardised coordinate along each axis,

    x_s = alpha_s m + Q diag( sqrt((alpha_s² λ + sigma_s²)/(alpha_t² λ + sigma_t²)) ) Qᵀ (x_t − alpha_t m),

over times in which the levels are smooth: for a list of steps, within one of them. A multistep solver
starts at order 1, which would spoil the order of the whole; so the first steps are tiny and double up to
the full one.

Errors are of the end point where no noise is drawn, and of the law otherwise: the distance W2 between
Gaussians, sqrt((m − m′)² + (s − s′)²) in one dimension.
"""

import math
from collections.abc import Iterator
from functools import cache
from itertools import pairwise

import torch
from torch import Tensor

from sfumato.diffusion.exact import ExactDenoiser
from sfumato.diffusion.grids import Grid, LogSNRGrid, UniformGrid
from sfumato.diffusion.level import Level
from sfumato.diffusion.samplers import Sampler
from sfumato.diffusion.schedules import Schedule
from sfumato.verify.law import Finding, Subject, as_double
from sfumato.verify.oracle import COVARIANCE, GAUSSIAN, MEAN, MIXTURE, BlockNoise, randn
from sfumato.verify.pieces import ADAPTIVE, RANDOM, SAMPLERS, SCHEDULES, SMOOTH
from sfumato.verify.theory import OWN_LAW, REFINED, THEORY
from sfumato.verify.walks import Watched, ends_clean, flow, law_of_walk, plane, steps_within, walk

COUNTS = (5, 8, 10, 20, 50)
"""Evaluations at which errors are reported."""
DOUBLINGS = 12
STEPS = {1: (40, 80), 2: (40, 80), 3: (40, 80), 4: (30, 60)}
"""Full steps at which each order is measured: enough for the leading term, too few for rounding (1e-14)."""
SAMPLES, LONG = 1000, 200
"""How many samples the statistics are of, and with how many evaluations each."""
DATA = (0.5, 0.4)
"""The mean and variance of the one-dimensional data of the stochastic samplers' laws."""


def smooth_stretch(name: str) -> tuple[float, float]:
    """Return two times between which levels are smooth, neither is near 0, and log SNR moves little."""
    if name in SMOOTH:
        return 0.55, 0.45
    length = SCHEDULES[name].t_min
    step = round(0.5 / length) * length
    return step + 0.98 * length, step + 0.02 * length


def graded(steps: int, start: float, end: float) -> Tensor:
    """Return times from `start` to `end` in equal steps, the first of which is split into doubling ones."""
    h = (start - end) / steps
    tiny = h * 2.0 ** torch.arange(-DOUBLINGS, 1, dtype=torch.float64)
    rest = torch.linspace(start - h, end, steps, dtype=torch.float64)[1:]
    return torch.cat([as_double([start]), start - tiny, rest])


def gaussian_flow(schedule: Schedule, x: Tensor, t: Tensor, s: Tensor) -> Tensor:
    """Return the exact solution at s of the flow through `x`: (B, 3) at t."""
    at_t, at_s = schedule.level(t), schedule.level(s)
    variances, axes = torch.linalg.eigh(COVARIANCE)
    stretch = (at_s.alpha**2 * variances + at_s.sigma**2) / (at_t.alpha**2 * variances + at_t.sigma**2)
    return at_s.alpha * MEAN + (x - at_t.alpha * MEAN) @ axes * stretch.sqrt() @ axes.T


def ode_error(schedule: Schedule, sampler: Sampler, times: Tensor) -> float:
    """Return the error of the end point on the Gaussian."""
    at = schedule.level(times[0])
    x = at.alpha * MEAN + (at.alpha + at.sigma) * randn(4, 3)
    end = walk(ExactDenoiser(GAUSSIAN, schedule), sampler, x, times).x
    return float((end - gaussian_flow(schedule, x, times[0], times[-1])).norm())


def weak_error(schedule: Schedule, sampler: Sampler, times: Tensor) -> float:
    """Return the error of the variance on one-dimensional Gaussian data, begun with the true law."""
    at, to = schedule.level(times[0]), schedule.level(times[-1])
    begun = float(at.alpha) * DATA[0], float(at.alpha**2 * DATA[1] + at.sigma**2)
    _, variance, _ = law_of_walk(sampler, schedule, times, DATA, begun)
    return abs(variance - float(to.alpha**2 * DATA[1] + to.sigma**2))


def order(subject: Subject, schedule_name: str, name: str) -> Iterator[Finding]:
    """Find the order of a sampler that has one."""
    expected = THEORY[name].order
    if expected is None:
        return
    measure = weak_error if name in RANDOM else ode_error
    start, end = smooth_stretch(schedule_name)
    refined = REFINED.get(name, lambda sampler, steps: sampler)
    coarse, fine = (
        measure(SCHEDULES[schedule_name], refined(SAMPLERS[name], steps), graded(steps, start, end))
        for steps in STEPS[expected]
    )
    yield subject.within("order", math.log2(coarse / fine) if fine else math.inf, expected, 0.15)


def last_asked(schedule: Schedule) -> Level:
    """Return the cleanest level at which a walk on the log-SNR grid asks."""
    return schedule.level(LogSNRGrid().times(2, schedule)[1])


@cache
def true_ends(schedule_name: str) -> tuple[Tensor, Tensor, float]:
    """Return starts and where the exact flow leads from them, both (32, 2), on the mixture.

    It ends with the estimate at the cleanest level that is asked about, as most walks do; how far that is
    from the flow's own end, to which some solvers extrapolate, is the third.
    """
    schedule = SCHEDULES[schedule_name]
    x = schedule.prior_std * randn(32, 2)
    noisiest = schedule.level(1.0)
    if not ends_clean(schedule):
        return x, flow(MIXTURE, x, noisiest, schedule.level(0.0)), 0.0
    level = last_asked(schedule)
    state = flow(MIXTURE, x, noisiest, level)
    estimate = MIXTURE.posterior_mean(state, level)
    return x, estimate, rms(flow(MIXTURE, state, level, plane(as_double(1e-6))) - estimate)


def rms(x: Tensor) -> float:
    """Return the root mean square of all entries."""
    return float(x.square().mean().sqrt())


def flow_error(schedule_name: str, sampler: Sampler, times: Tensor) -> tuple[float, int]:
    """Return the root mean square error of the ends on the mixture, and the evaluations it took."""
    schedule = SCHEDULES[schedule_name]
    x, truth, _ = true_ends(schedule_name)
    end = walk(ExactDenoiser(MIXTURE, schedule), sampler, x, times)
    return rms(end.x - truth), end.evaluations


def law_error(schedule_name: str, sampler: Sampler, times: Tensor) -> tuple[float, int]:
    """Return the distance W2 of the ends' law from the true one, and the evaluations it took."""
    schedule, (mean, variance) = SCHEDULES[schedule_name], DATA
    clean, at = schedule.level(0.0), last_asked(schedule)
    truth = variance + float(clean.sigma) ** 2
    if ends_clean(schedule):
        # The last step is an estimate: the law of E[x0 | x_t] for x_t of the true marginal.
        truth = float(at.alpha**2 * variance**2 / (at.alpha**2 * variance + at.sigma**2))
    m, v, used = law_of_walk(sampler, schedule, times, DATA, (0.0, schedule.prior_std**2))
    return math.hypot(m - mean, math.sqrt(v) - math.sqrt(truth)), used


def walk_times(schedule_name: str, name: str, count: int) -> Tensor:
    """Return the times of a walk of at most `count` evaluations.

    A sampler that keeps a tolerance takes as many as it needs. It is stopped at the corners of a list of
    steps, which no error estimate foresees.
    """
    schedule = SCHEDULES[schedule_name]
    if name in ADAPTIVE:
        corners = 1 if schedule_name in SMOOTH else round(1 / schedule.t_min)
        return UniformGrid().times(corners, schedule)
    return LogSNRGrid().times(steps_within(SAMPLERS[name], schedule, count), schedule)


def errors(subject: Subject, schedule_name: str, name: str) -> Iterator[Finding]:
    """Find the error at each count: at the largest it is small, or has at least halved since the smallest."""
    measure = law_error if name in RANDOM else flow_error
    details: dict[str, float] = {}
    for count in COUNTS:
        times = walk_times(schedule_name, name, count)
        error, used = measure(schedule_name, SAMPLERS[name], times)
        details |= {f"error {count}": error, f"evaluations {count}": used}
    accuracy = THEORY[name].accuracy + true_ends(schedule_name)[2]
    largest = max(accuracy, details[f"error {COUNTS[0]}"] / 2)
    yield subject.below(
        f"error at {COUNTS[-1]} evaluations", details[f"error {COUNTS[-1]}"], largest, **details
    )


def even_grid(schedule_name: str) -> Grid:
    """Return a grid for many steps: one that visits the corners of a list, or spreads log SNR evenly."""
    return LogSNRGrid() if schedule_name in SMOOTH and schedule_name != "geometric_ve" else UniformGrid()


def moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean and covariance of samples in the plane: (5,), and their variances per sample."""
    offset = x - x.mean(0)
    entries = torch.cat([x, offset[:, :1] * offset, offset[:, 1:] ** 2], 1)
    return entries.mean(0), entries.var(0)


def statistics(subject: Subject, schedule_name: str, name: str) -> Iterator[Finding]:
    """Find the samples' mean and covariance, in standard errors beyond the bias that is allowed."""
    if name in OWN_LAW:
        return
    schedule, noise = SCHEDULES[schedule_name], BlockNoise(7)
    times = even_grid(schedule_name).times(steps_within(SAMPLERS[name], schedule, LONG), schedule)
    times = walk_times(schedule_name, name, LONG) if name in ADAPTIVE else times
    x = schedule.prior_std * noise.normal((SAMPLES, 2))
    denoiser = Watched(ExactDenoiser(MIXTURE, schedule))
    end = walk(denoiser, SAMPLERS[name], x, times, noise)
    truth = MIXTURE.sample(20 * SAMPLES, torch.Generator().manual_seed(1))
    if ends_clean(schedule):
        level = schedule.level(denoiser.cleanest)
        x_t = level.alpha * truth + level.sigma * randn(len(truth), 2, seed=3)
        truth = MIXTURE.posterior_mean(x_t, level)
    (value, spread), (wanted, true_spread) = moments(end.x), moments(truth)
    error = (spread / SAMPLES + true_spread / len(truth)).sqrt()
    beyond = ((value - wanted).abs() - THEORY[name].bias).clamp(min=0) / error
    yield subject.below(
        "mean and covariance, in standard errors",
        float(beyond.max()),
        4.5,
        largest_difference=float((value - wanted).abs().max()),
        standard_error=float(error.max()),
        evaluations=end.evaluations,
    )


def own_law(subject: Subject, schedule_name: str, name: str) -> Iterator[Finding]:
    """Find the law of x̂0 = m + g (x_t − alpha_t m), x_s = alpha_s x̂0 + sigma_s z, by its recursion."""
    if name not in OWN_LAW:
        return
    schedule, (mean, variance) = SCHEDULES[schedule_name], DATA
    times = LogSNRGrid().times(6, schedule)
    m, v = 0.0, schedule.prior_std**2
    visited = times if name == "renoise" else torch.cat([torch.ones(6).double(), times[-1:]])
    scales = [(float(level.alpha), float(level.sigma)) for level in map(schedule.level, visited)]
    if name == "fixed_level":
        scales[-1] = (1.0, 0.0)  # its last estimate is the sample, whatever noise the schedule ends with
    for (alpha_t, sigma_t), (alpha_s, sigma_s) in pairwise(scales):
        gain = alpha_t * variance / (alpha_t**2 * variance + sigma_t**2)
        m = alpha_s * (mean + gain * (m - alpha_t * mean))
        v = (alpha_s * gain) ** 2 * v + sigma_s**2
    value = law_of_walk(SAMPLERS[name], schedule, times, DATA, (0.0, schedule.prior_std**2))
    yield subject.equal("the chain's own law", as_double(value[:2]), as_double([m, v]))


def sampler_laws(schedule_name: str, name: str) -> Iterator[Finding]:
    """Yield all of one schedule and one sampler."""
    subject = Subject("sampler", {"schedule": schedule_name, "sampler": name})
    for law in (order, errors, statistics, own_law):
        yield from law(subject, schedule_name, name)

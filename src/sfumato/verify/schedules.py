"""Schedules: each level is its paper's formula, written out a second time for the schedules of `pieces`.

Derivatives are held against differences of the formula: (f(t + h) − f(t − h))/2h is off by h²·f‴/6, about
1e-9 of f here for h = 1e-6·t, and by rounding of 1e-16/h.
"""

import math
from collections.abc import Callable, Iterator, Sequence

import torch

from sfumato.diffusion.level import Level, as_time, expand
from sfumato.diffusion.schedules import signal_left, time_of_log_snr
from sfumato.verify.law import Finding, Subject, as_double
from sfumato.verify.oracle import randn
from sfumato.verify.pieces import SCHEDULES, STEP_BETAS, STEP_SIGMAS

Formula = Callable[[float], tuple[float, float]]
"""t -> (alpha, sigma)."""


def preserving(log_alpha: Callable[[float], float]) -> Formula:
    """Return the levels with alpha² + sigma² = 1."""
    return lambda t: (math.exp(log_alpha(t)), math.sqrt(-math.expm1(2 * log_alpha(t))))


def chain(steps: Sequence[float]) -> Callable[[float], float]:
    """Return the sum of `steps` up to t·T, a last one in part."""

    def total(t: float) -> float:
        whole = min(math.floor(t * len(steps) + 1e-12), len(steps))
        part = (t * len(steps) - whole) * steps[whole] if whole < len(steps) else 0.0
        return math.fsum(steps[:whole]) + part

    return total


def betas(values: Sequence[float]) -> Formula:
    """Return the levels whose step i multiplies alpha² by 1 − beta_i."""
    return preserving(chain([0.5 * math.log(1 - beta) for beta in values]))


def cosine(t: float, offset: float = 0.008) -> float:
    """Return sqrt(f(t)/f(0)) of the cosine schedule."""
    return math.cos(math.pi / 2 * (t + offset) / (1 + offset)) / math.cos(math.pi / 2 * offset / (1 + offset))


def linear_log_alpha(t: float) -> float:
    """Return −½∫(0.1 + 19.9 u) du."""
    return -0.5 * (0.1 * t + 19.9 * t * t / 2)


COSINE_BETAS = [min(1 - (cosine((i + 1) / 20) / cosine(i / 20)) ** 2, 0.999) for i in range(20)]
LINEAR_BETAS = [20 * (1e-4 + (0.02 - 1e-4) * i / 49) for i in range(50)]

FORMULAS: dict[str, Formula] = {
    "linear_vp": preserving(linear_log_alpha),
    "cosine_vp": lambda t: (cosine(t), math.sqrt(1 - cosine(t) ** 2)),
    "sub_vp": lambda t: (math.exp(linear_log_alpha(t)), -math.expm1(2 * linear_log_alpha(t))),
    "betas": betas(STEP_BETAS),
    "cosine_betas": betas(COSINE_BETAS),
    "linear_betas": betas(LINEAR_BETAS),
    "constant_alpha": lambda t: (0.9 ** (25 * t), math.sqrt(1 - 0.9 ** (50 * t))),
    "geometric_ve": lambda t: (1.0, 0.01 * 5000**t),
    "linear_ve": lambda t: (1.0, 80 * t),
    "noise_steps": lambda t: (1.0, math.sqrt(chain([sigma**2 for sigma in STEP_SIGMAS])(t))),
    "rectified_flow": lambda t: (1 - t, t),
}
"""(alpha, sigma) of every schedule in `pieces`."""

CLEANEST = {
    "betas": 0.1,
    "cosine_betas": 0.05,
    "linear_betas": 0.02,
    "constant_alpha": 0.02,
    "noise_steps": 0.1,
}
CLEANEST |= {"geometric_ve": 0.0, "linear_ve": 0.002 / 80}
"""t_min where it is not 0.001."""


def schedule_laws(name: str) -> Iterator[Finding]:
    """Yield what holds of one schedule."""
    subject, schedule, formula = Subject("schedule", {"schedule": name}), SCHEDULES[name], FORMULAS[name]
    # No time is a multiple of a step's length: a list has corners there, where its slope is one-sided.
    t = torch.linspace(0.0137, 0.9931, 60, dtype=torch.float64)
    level = schedule.level(t)
    truth = as_double([formula(u) for u in t.tolist()]).T
    yield subject.equal("alpha", level.alpha, truth[0], 1e-11)
    yield subject.equal("sigma", level.sigma / truth[1], torch.ones_like(t), 1e-9)
    h = 1e-6 * t
    up, down = (as_double([formula(u) for u in (t + sign * h).tolist()]).T for sign in (1, -1))
    slope = (up - down) / (2 * h)
    yield subject.equal("d alpha/dt", level.d_alpha, slope[0], 1e-6)
    yield subject.equal("d sigma/dt", level.d_sigma, slope[1], 1e-6)
    ends = torch.stack([torch.stack([schedule.level(e).alpha, schedule.level(e).sigma]) for e in (0.0, 1.0)])
    yield subject.equal("both ends", ends, as_double([formula(0.0), formula(1.0)]), 1e-7)
    yield subject.equal("the cleanest time", schedule.t_min, CLEANEST.get(name, 1e-3))
    share = math.hypot(0.7 * formula(1.0)[0], formula(1.0)[1])
    yield subject.equal("the signal left", signal_left(schedule, 0.7), 0.7 * formula(1.0)[0] / share)
    # Pure noise has the deviation of the noisiest state, of which no or hardly any part is signal.
    spread = max(formula(1.0)[1], 1.0)
    yield subject.equal("the deviation of pure noise", schedule.prior_std, spread, 1e-9)
    snr = (truth[0] / truth[1]) ** 2
    yield subject.equal("SNR and its logarithm", level.log_snr.exp() / snr, level.snr / snr)
    yield subject.equal("SNR", level.snr / snr, torch.ones_like(t))
    yield subject.equal("the time of a log SNR", time_of_log_snr(schedule, snr.log()), t, 1e-8)
    rising = torch.cat([level.log_snr.diff(), level.sigma.diff().neg()])
    yield subject.holds("SNR falls and noise grows", bool((rising < 0).all()))


def level_laws() -> Iterator[Finding]:
    """Yield what holds of levels and times themselves."""
    subject = Subject("schedule", {})
    level = Level(*as_double([0.5, 0.6, 0.3, 0.0, 0.0]))
    yield subject.equal("SNR = alpha²/sigma²", level.snr, 4.0)
    yield subject.equal("its logarithm", level.log_snr, math.log(4.0))
    yield subject.holds("a number is a float64 time", as_time(0.1).dtype == torch.float64)
    yield subject.equal("a number keeps its digits", as_time(0.1), 0.1, 0.0)
    x, value = randn(3, 2, 2), as_double([1.0, 2.0, 3.0])
    truth = torch.stack([n * row for n, row in zip((1.0, 2.0, 3.0), x, strict=True)])
    yield subject.equal("a scale a row", expand(value, x) * x, truth)
    yield subject.equal("a scale for all", expand(value[1], x) * x, 2.0 * x)

"""The noising process: steps compose, the posterior is Bayes' rule, and the equation integrates to a step."""

import math
from collections.abc import Callable, Iterator
from itertools import pairwise

import torch

from sfumato.diffusion.process import (
    corrupt,
    drift_and_diffusion,
    marginal,
    posterior,
    posterior_scales,
    prior,
    transition,
    transition_scales,
)
from sfumato.diffusion.samplers import Question, Scales
from sfumato.diffusion.schedules import Schedule
from sfumato.verify.law import Finding, Subject, as_double
from sfumato.verify.oracle import KnownDenoiser, rand, randn
from sfumato.verify.pieces import RULES, SCHEDULES

PAIRS_OF_TIMES = ((0.05, 0.93), (0.31, 0.37), (0.6, 0.97), (0.12, 0.55))


def process_laws(name: str) -> Iterator[Finding]:
    """Yield what holds of the noising of one schedule."""
    subject, schedule = Subject("process", {"schedule": name}), SCHEDULES[name]
    x0, eps, t = randn(4, 2, 3), randn(4, 2, 3, seed=1), as_double([0.1, 0.4, 0.75, 1.0])
    at = schedule.level(t)
    shot = at.alpha[:, None, None] * x0 + at.sigma[:, None, None] * eps
    yield subject.equal("one shot", corrupt(schedule, x0, eps, t), shot)
    yield subject.equal("the marginal's sample", marginal(schedule, x0, t).sample(eps), shot)
    pure = prior(schedule, x0)
    yield subject.equal("pure noise", pure.sample(eps), schedule.prior_std * eps)
    yield from composition(subject, schedule)
    for s, u in PAIRS_OF_TIMES:
        yield bayes(subject, schedule, s, u)
    yield equation(subject, schedule)
    small = posterior_scales(schedule.level(0.0), schedule.level(0.5))
    clean = float(schedule.level(0.0).sigma) == 0
    yield subject.holds("a step to the clean end is x0", [float(v) for v in small] == [0, 1, 0] or not clean)


def composition(subject: Subject, schedule: Schedule) -> Iterator[Finding]:
    """Find the steps' composition to be the one shot, in mean and variance."""
    times = torch.cat([0.9 * rand(7, seed=4) + 0.02, as_double([1.0])]).sort().values
    first = schedule.level(times[0])
    mean, variance = first.alpha, first.sigma**2
    for s, t in pairwise(times):
        factor, std = transition_scales(schedule.level(s), schedule.level(t))
        mean, variance = factor * mean, factor**2 * variance + std**2
        step = transition(schedule, as_double([[1.7]]), s, t)
        yield subject.equal(
            "a transition's scales", step.sample(as_double([[1.0]])), (1.7 * factor + std)[None, None]
        )
        truth = schedule.level(t)
        whole = torch.stack([truth.alpha, truth.sigma])
        yield subject.equal("steps compose to one shot", torch.stack([mean, variance.sqrt()]), whole)


def bayes(subject: Subject, schedule: Schedule, s: float, t: float) -> Finding:
    """Find the posterior to be q(x_t | x_s) q(x_s | x0), normalised, by the trapezoidal rule.

    On a Gaussian its error falls faster than any power: 2,001 points over ±12 widths are exact to rounding.
    """
    at_s, at_t, x0 = schedule.level(s), schedule.level(t), 0.7
    x_t = float(at_t.alpha * x0 + at_t.sigma * 0.8)
    factor = float(at_t.alpha / at_s.alpha)
    step = math.sqrt(float(at_t.sigma**2) - factor**2 * float(at_s.sigma**2))
    width = min(step / factor, float(at_s.sigma))
    centre = x_t / factor if width < float(at_s.sigma) else float(at_s.alpha) * x0
    x_s = centre + width * torch.linspace(-12, 12, 2001, dtype=torch.float64)
    exponent = ((x_t - factor * x_s) / step) ** 2 + ((x_s - float(at_s.alpha) * x0) / float(at_s.sigma)) ** 2
    density = (-0.5 * exponent).softmax(0)
    mean = (density * x_s).sum()
    std = (density * (x_s - mean) ** 2).sum().sqrt()
    value = posterior(schedule, as_double([[x0]]), as_double([[x_t]]), s, t)
    found = torch.stack([value.mean.squeeze(), value.std.squeeze()])
    return subject.equal("the posterior is Bayes' rule", found / std, torch.stack([mean, std]) / std, 1e-7)


def equation(subject: Subject, schedule: Schedule) -> Finding:
    """Find dm = f m dt, dv = (2 f v + g²) dt to be the transition, by the midpoint rule on 6,000 cells.

    Its error is (f·h)²/24 ~ 1e-7 at the steepest; a list has its corners at the cells' edges.
    """
    start, end, cells = 0.2, 0.8, 6000
    h = (end - start) / cells
    middles = start + h * (torch.arange(cells, dtype=torch.float64) + 0.5)
    drift, diffusion = drift_and_diffusion(schedule, middles)
    later = drift.flip(0).cumsum(0).flip(0) * h - 0.5 * h * drift
    factor = (drift.sum() * h).exp()
    variance = ((2 * later).exp() * diffusion**2).sum() * h
    truth = transition_scales(schedule.level(start), schedule.level(end))
    value = torch.stack([factor, variance.sqrt() / truth[1]])
    return subject.equal(
        "the equation integrates to a step", value, torch.stack([truth[0], truth[1] / truth[1]]), 1e-5
    )


def keeps_marginal(eta: float) -> Callable[[Scales, Scales], tuple[float, float]]:
    """Return (c, kappa) of DDIM's equation 16, for any schedule."""

    def closed(t: Scales, s: Scales) -> tuple[float, float]:
        variance = s.sigma**2 * (1 - (t.alpha * s.sigma / (s.alpha * t.sigma)) ** 2)
        return math.sqrt(max(s.sigma**2 - eta**2 * variance, 0.0)), eta * math.sqrt(variance)

    return closed


def keeps_mean(t: Scales, s: Scales) -> tuple[float, float]:
    """Return (c, kappa) of the posterior's mean and the transition's noise, none to a clean end."""
    c = t.alpha * s.sigma**2 / (s.alpha * t.sigma)
    return c, math.sqrt(t.sigma**2 - (t.alpha / s.alpha * s.sigma) ** 2) if s.sigma > 0 else 0.0


CLOSED_FORMS: dict[str, Callable[[Scales, Scales], tuple[float, float]]] = {
    "ddim": keeps_marginal(0.0),
    "half": keeps_marginal(0.5),
    "ddpm": keeps_marginal(1.0),
    "renoise": lambda t, s: (0.0, s.sigma),
    "large": keeps_mean,
}
"""(c, kappa) of the rules of `pieces`, from the levels alone."""


def rule_laws(name: str) -> Iterator[Finding]:
    """Yield what holds of one schedule under every rule of the stochastic step."""
    schedule = SCHEDULES[name]
    ask = Question(KnownDenoiser(schedule, as_double([[0.3, -0.8]])))
    for rule_name, rule in RULES.items():
        subject = Subject("rule", {"schedule": name, "rule": rule_name})
        for s, t in (*PAIRS_OF_TIMES, (0.0, 0.4)):
            at_t, at_s = ask.at(t), ask.at(s)
            # No rule of the list but a learned one looks at the estimate.
            c, kappa = rule.coefficients(at_t, at_s, ask(randn(1, 2), at_t))
            wanted = as_double(CLOSED_FORMS[rule_name](at_t, at_s))
            found = as_double([float(c), float(kappa)])
            yield subject.equal("c and kappa", found, wanted, 1e-8)

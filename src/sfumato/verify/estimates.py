"""What surrounds a network: views, variances, thresholds, and guidance, each wrapping a denoiser."""

import math
from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor

from sfumato.condition import Condition
from sfumato.diffusion.denoiser import Denoiser, NetworkDenoiser
from sfumato.diffusion.exact import ExactDenoiser, gaussian
from sfumato.diffusion.guidance import (
    AutoGuided,
    ClassifierFree,
    ClassifierGuided,
    GuidedByEach,
    Inpainted,
    Measured,
)
from sfumato.diffusion.level import Level
from sfumato.diffusion.prediction import V
from sfumato.diffusion.schedules import CosineVP, LinearVP
from sfumato.diffusion.thresholding import Dynamic, Thresholded
from sfumato.diffusion.variance import LearnedRange
from sfumato.diffusion.view import WithLevel
from sfumato.verify.law import Finding, Subject, as_double
from sfumato.verify.oracle import KnownDenoiser, asked_times, randn
from sfumato.verify.pieces import DENOISERS, SCHEDULES, THRESHOLDS, VARIANCES, VIEWS

WITH = Condition.of(label=torch.arange(4))


def view_laws() -> Iterator[Finding]:
    """Yield what a network is shown."""
    for name, schedule in SCHEDULES.items():
        t = asked_times(schedule, 12)
        level, x = schedule.level(t), randn(12, 2, 2)
        shown, number = VIEWS["with_level"].show(x, level)
        subject = Subject("view", {"view": "with_level", "schedule": name})
        unit = x / (0.49 * level.alpha**2 + level.sigma**2).sqrt()[:, None, None]
        yield subject.equal("x_t at unit variance", shown, unit)
        ratio = (level.sigma.log() - level.alpha.log()).clamp(-12, 12)
        yield subject.equal("a quarter of log(sigma/alpha)", number, ratio / 4)
        shown, number = VIEWS["time_free"].show(x, level)
        subject = Subject("view", {"view": "time_free", "schedule": name})
        yield subject.equal("x_t as it is", shown, x)
        yield subject.equal("no level", number, torch.zeros(12))
    yield Subject("view", {}).refused("WithLevel(0) is refused", lambda: WithLevel(0.0))


def variance_laws() -> Iterator[Finding]:
    """Yield the widths of the reverse step."""
    small, large = as_double([0.1, 0.2, 0.3]), as_double([0.4, 0.5, 0.9])
    fraction = as_double([[0.0, 1.0], [0.5, 0.25], [2.0, -1.0]])
    wanted = {
        "small": small,
        "large": large,
        "learned": small[:, None] ** (1 - fraction) * large[:, None] ** fraction,
    }
    output = randn(2, 4, 3)
    split = {
        "small": (output, None),
        "large": (output, None),
        "learned": (output[:, :2], (output[:, 2:] + 1) / 2),
    }
    for name, variance in VARIANCES.items():
        subject = Subject("variance", {"variance": name})
        yield subject.equal("the deviation", variance.std(small, large, fraction), wanted[name])
        prediction, share = variance.split(output)
        yield subject.equal("the prediction's outputs", prediction, split[name][0])
        told = split[name][1]
        same = (share is None) == (told is None)
        yield subject.holds("outputs", variance.outputs == (1 if told is None else 2) and same)
        if share is not None and told is not None:
            yield subject.equal("the fraction's outputs", share, told)
    learned = Subject("variance", {"variance": "learned"})
    yield learned.refused("no fraction is refused", lambda: LearnedRange().std(small, large, None))


def quantile(values: list[float], share: float) -> float:
    """Return the quantile with linear interpolation between order statistics."""
    ordered, place = sorted(values), share * (len(values) - 1)
    low = math.floor(place)
    high = min(low + 1, len(values) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])


def threshold_laws() -> Iterator[Finding]:
    """Yield how estimates are kept within bounds."""
    x0, (low, high) = 2.5 * randn(5, 2, 3), (-0.4, 1.0)
    middle, reach = 0.3, 0.7
    rows = []
    for picture in x0:
        far = max(quantile((picture - middle).abs().flatten().tolist(), 0.8), reach)
        rows.append(middle + (picture - middle).clamp(-far, far) * reach / far)
    wanted = {"static": x0.clamp(low, high), "dynamic": torch.stack(rows)}
    schedule = LinearVP()
    t, x_t = as_double(0.4), randn(5, 2, 3, seed=1)
    level = schedule.level(t)
    for name, threshold in THRESHOLDS.items():
        subject = Subject("threshold", {"threshold": name, "denoiser": "thresholded"})
        yield subject.equal("its formula", threshold.clip(x0, (low, high)), wanted[name])
        yield subject.equal(
            "nothing within bounds moves", threshold.clip(wanted[name], (low, high)), wanted[name]
        )
        held = Thresholded(KnownDenoiser(schedule, x0), threshold, (low, high)).estimate(x_t, t)
        yield subject.equal("the estimate is kept", held.x0, wanted[name])
        yield subject.equal("both explain x_t", level.alpha * held.x0 + level.sigma * held.eps, x_t)
        yield subject.refused(
            "unbounded data", partial(Thresholded, KnownDenoiser(schedule, x0), threshold, None)
        )
    yield Subject("threshold", {"threshold": "dynamic"}).refused("a share of 0", lambda: Dynamic(0.0))


def denoiser_laws() -> Iterator[Finding]:
    """Yield that every denoiser's estimate explains what was seen, on every schedule."""
    for schedule_name, schedule in SCHEDULES.items():
        for name, build in DENOISERS.items():
            subject = Subject("denoiser", {"denoiser": name, "schedule": schedule_name})
            denoiser = build(schedule)
            off = []
            for t in asked_times(schedule, 6):
                level, x_t = schedule.level(t), randn(4, 2)
                estimate = denoiser.estimate(x_t, t, WITH)
                seen = level.alpha * estimate.x0 + level.sigma * estimate.eps
                off.append(((seen - x_t) / seen.abs().clamp(min=1)).abs().max())
            # A tensor's maximum keeps what is not a number.
            yield subject.below("alpha·x0 + sigma·eps = x_t", float(torch.stack(off).max()), 1e-8)


def shown(x: Tensor, level: Tensor, condition: Condition | None) -> Tensor:
    """A network whose output tells whether it was shown its condition."""
    known = 0.0 if condition is None else (~condition.dropped["label"]).to(x)[:, None]
    return 0.5 * x + 0.3 * known


def guidance_laws() -> Iterator[Finding]:
    """Yield the formulas of guidance, with and without signal at t = 1."""
    for schedule in (LinearVP(), CosineVP()):
        t, x_t = as_double(0.6), randn(4, 2)
        denoiser = NetworkDenoiser(shown, schedule, V())
        told, untold = (denoiser.estimate(x_t, t, condition) for condition in (WITH, WITH.drop_all()))
        free = ClassifierFree(denoiser, 2.5, (0.2, 0.7))
        subject = Subject("guidance", {"denoiser": "classifier_free"})
        led = free.estimate(x_t, t, WITH)
        yield subject.equal("eps + w (eps(c) − eps)", led.eps, untold.eps + 2.5 * (told.eps - untold.eps))
        yield subject.equal("x0 likewise", led.x0, untold.x0 + 2.5 * (told.x0 - untold.x0))
        outside = free.estimate(x_t, as_double(0.8), WITH).eps
        yield subject.equal(
            "outside the interval", outside, denoiser.estimate(x_t, as_double(0.8), WITH).eps, 0.0
        )
        count = [
            free.evaluations(when, what)
            for when, what in ((0.6, WITH), (0.6, None), (0.8, WITH), (0.2, WITH))
        ]
        yield subject.equal("evaluations", as_double(count), as_double([2, 1, 1, 2]))
        yield subject.refused("an empty interval", partial(ClassifierFree, denoiser, 2.0, (0.5, 0.5)))
        yield from by_each_laws(schedule, x_t, t)
        yield from auto_laws(schedule, denoiser, x_t, t)
        yield from classifier_laws(schedule, x_t)
        yield from measurement_laws(schedule, x_t)


def entangled(x: Tensor, level: Tensor, condition: Condition | None) -> Tensor:
    """A network to which what one condition adds depends on the other."""
    if condition is None:
        return 0.5 * x
    label, text = ((~condition.dropped[name]).to(x)[:, None] for name in ("label", "text"))
    return 0.5 * x + 0.3 * label - 0.2 * text + 0.7 * label * text


def by_each_laws(schedule: LinearVP | CosineVP, x_t: Tensor, t: Tensor) -> Iterator[Finding]:
    """Yield the sum over the conditions of w_k (eps_k − eps_{k−1}), told one after another."""
    subject = Subject("guidance", {"denoiser": "guided_by_each"})
    denoiser = NetworkDenoiser(entangled, schedule, V())
    told = Condition.of(label=torch.arange(4), text=torch.arange(4))
    nothing, label, both = (
        denoiser.estimate(x_t, t, condition) for condition in (told.drop_all(), told.without(["text"]), told)
    )
    led = GuidedByEach(denoiser, {"label": 2.5, "text": 4.0}, (0.2, 0.7))
    of = led.estimate(x_t, t, told)
    added = 2.5 * (label.eps - nothing.eps) + 4.0 * (both.eps - label.eps)
    yield subject.equal("eps_0 + sum of w_k (eps_k − eps_{k−1})", of.eps, nothing.eps + added)
    added = 2.5 * (label.x0 - nothing.x0) + 4.0 * (both.x0 - label.x0)
    yield subject.equal("x0 likewise", of.x0, nothing.x0 + added)
    counts = [led.evaluations(when, what) for when, what in ((0.6, told), (0.8, told), (0.6, None))]
    yield subject.equal("evaluations", as_double(counts), as_double([3, 1, 1]))


def auto_laws(schedule: LinearVP | CosineVP, strong: Denoiser, x_t: Tensor, t: Tensor) -> Iterator[Finding]:
    """Yield weaker + w (strong − weaker)."""
    subject = Subject("guidance", {"denoiser": "auto_guided"})
    weaker = KnownDenoiser(schedule, as_double([[0.2, -0.1]]))
    led = AutoGuided(strong, weaker, 3.0).estimate(x_t, t)
    of, away = strong.estimate(x_t, t), weaker.estimate(x_t, t)
    yield subject.equal("x0", led.x0, away.x0 + 3.0 * (of.x0 - away.x0))
    yield subject.equal("eps", led.eps, away.eps + 3.0 * (of.eps - away.eps))
    counts = [AutoGuided(strong, weaker, weight).evaluations(0.5) for weight in (3.0, 1.0)]
    yield subject.equal("evaluations", as_double(counts), as_double([2, 1]))
    other = KnownDenoiser(LinearVP(0.2, 5.0), as_double([[0.0, 0.0]]))
    yield subject.refused("two schedules", lambda: AutoGuided(strong, other, 2.0))


def classifier_laws(schedule: LinearVP | CosineVP, x_t: Tensor) -> Iterator[Finding]:
    """Yield Bayes' rule: an unconditional Gaussian and its exact classifier make the conditional Gaussian.

    Data N(m, v I) and a class of log-likelihood −(x0 − u)²/(2 r) have the conditional N(m′, v′ I) with
    1/v′ = 1/v + 1/r, m′ = v′ (m/v + u/r); p(c | x_t) is then N(x_t) of one over N(x_t) of the other.
    """
    subject = Subject("guidance", {"denoiser": "classifier_guided"})
    mean, variance = as_double([0.4, -0.3]), 0.8
    narrow = 1 / (1 / variance + 1 / 0.5)
    shifted = narrow * (mean / variance + as_double([1.0, 0.2]) / 0.5)
    eye = torch.eye(2, dtype=torch.float64)
    free, bound = (gaussian(m, v * eye) for m, v in ((mean, variance), (shifted, narrow)))

    def classifier(x: Tensor, t: Tensor, condition: Condition) -> Tensor:
        level: Level = schedule.level(t)
        return bound.log_prob(x, level) - free.log_prob(x, level)

    guided = ClassifierGuided(ExactDenoiser(free, schedule), classifier, 1.0, (0.0, 0.9))
    truth = ExactDenoiser(bound, schedule)
    for t in as_double([0.05, 0.4, 0.9]):
        value, wanted = guided.estimate(x_t, t, WITH), truth.estimate(x_t, t)
        yield subject.equal("Bayes' rule for x0", value.x0, wanted.x0, 1e-8)
        yield subject.equal("Bayes' rule for eps", value.eps, wanted.eps, 1e-8)
    counts = [guided.evaluations(when, what) for when, what in ((0.5, WITH), (0.95, WITH), (0.5, None))]
    yield subject.equal("evaluations", as_double(counts), as_double([3, 1, 1]))


def measurement_laws(schedule: LinearVP | CosineVP, x_t: Tensor) -> Iterator[Finding]:
    """Yield the conditional Gaussian of x0 given y = A x0 + n, and what inpainting puts in."""
    mean, covariance = as_double([0.4, -0.3]), as_double([[0.8, 0.5], [0.5, 0.7]])
    matrix, y, noise = as_double([[1.0, 0.5], [0.0, 1.0]]), as_double([[0.9, -0.2]]), 0.3
    inverse = torch.linalg.inv(covariance) + matrix.T @ matrix / noise**2
    told = torch.linalg.inv(inverse)
    told = 0.5 * (told + told.T)
    of = told @ (torch.linalg.inv(covariance) @ mean + matrix.T @ y[0] / noise**2)
    denoiser, truth = (ExactDenoiser(gaussian(m, c), schedule) for m, c in ((mean, covariance), (of, told)))
    measured = Measured(denoiser, lambda x: x @ matrix.T, y, noise, 2)
    subject = Subject("guidance", {"denoiser": "measured"})
    for t in as_double([0.05, 0.4, 0.9]):
        value, wanted = measured.estimate(x_t, t), truth.estimate(x_t, t)
        yield subject.equal("the conditional Gaussian's x0", value.x0, wanted.x0, 1e-7)
        yield subject.equal("and its eps", value.eps, wanted.eps, 1e-6)
    yield subject.equal("evaluations", measured.evaluations(0.5), 3.0)
    yield subject.refused("no iteration", lambda: Measured(denoiser, lambda x: x, y, noise, 0))
    inpainted = Inpainted(denoiser, as_double([0.7, 0.1]), as_double([1.0, 0.0]))
    t = as_double(0.4)
    value, plain = inpainted.estimate(x_t, t), denoiser.estimate(x_t, t)
    subject = Subject("guidance", {"denoiser": "inpainted"})
    yield subject.equal("what is known", value.x0[:, 0], torch.full((4,), 0.7, dtype=torch.float64), 1e-7)
    yield subject.equal("what is not", value.x0[:, 1], plain.x0[:, 1], 0.0)
    yield subject.equal("evaluations", inpainted.evaluations(0.5), 1.0)
    yield subject.refused("half a mask", lambda: Inpainted(denoiser, y, as_double([0.5, 0.0])))

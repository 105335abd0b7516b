"""Predictions, weightings and the loss: every row is its paper's formula, and the solve inverts it."""

import math
from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor

from sfumato.diffusion.denoiser import NetworkDenoiser
from sfumato.diffusion.level import Level
from sfumato.diffusion.objective import DenoisingLoss
from sfumato.diffusion.prediction import EDM, Noise, Previous, amplification, check, solve
from sfumato.diffusion.process import posterior
from sfumato.diffusion.schedules import LinearVP, Schedule
from sfumato.diffusion.weighting import MinSNR, space_weight
from sfumato.verify.law import Finding, Subject, as_double
from sfumato.verify.oracle import asked_times, randn
from sfumato.verify.pieces import PAIRS, PREDICTIONS, REFUSED, SCHEDULES, WEIGHTINGS, pair

Targets = Callable[[Schedule, Level, Tensor, Tensor], Tensor]
"""What a perfect network puts out, from (x0, eps): (B, 2)."""


def wide(value: Tensor) -> Tensor:
    """Return (B,) as (B, 1)."""
    return value[:, None]


def edm_target(schedule: Schedule, level: Level, x0: Tensor, eps: Tensor) -> Tensor:
    """Return (x0 − c_skip·x_t)/c_out for data of deviation 0.7 (Karras et al. 2022, table 1)."""
    alpha, sigma = wide(level.alpha), wide(level.sigma)
    total = alpha**2 * 0.49 + sigma**2
    return (x0 - alpha * 0.49 / total * (alpha * x0 + sigma * eps)) / (sigma * 0.7 / total.sqrt())


def previous_target(schedule: Schedule, level: Level, x0: Tensor, eps: Tensor) -> Tensor:
    """Return E[x_s | x_t, x0] for s = t − 0.1, or the clean end."""
    s = (level.t - 0.1).clamp(min=0)
    x_t = wide(level.alpha) * x0 + wide(level.sigma) * eps
    return posterior(schedule, x0, x_t, s, level.t).mean


TARGETS: dict[str, Targets] = {
    "noise": lambda schedule, level, x0, eps: eps,
    "data": lambda schedule, level, x0, eps: x0,
    "score": lambda schedule, level, x0, eps: -eps / wide(level.sigma),
    "v": lambda schedule, level, x0, eps: wide(level.alpha) * eps - wide(level.sigma) * x0,
    "velocity": lambda schedule, level, x0, eps: wide(level.d_alpha) * x0 + wide(level.d_sigma) * eps,
    "edm": edm_target,
    "previous": previous_target,
}
"""What each prediction of `pieces` stands for."""


def prediction_laws(schedule_name: str) -> Iterator[Finding]:
    """Yield what holds of every prediction on one schedule."""
    for prediction_name in PREDICTIONS:
        subject = Subject("prediction", {"schedule": schedule_name, "prediction": prediction_name})
        schedule, prediction = pair(schedule_name, prediction_name)
        refused = (schedule_name, prediction_name) in REFUSED
        if refused:
            yield subject.refused(
                "refused where it does not determine both", partial(check, prediction, schedule)
            )
        t = asked_times(schedule, 24)[: -1 if refused else None]
        level, x0, eps = schedule.level(t), randn(len(t), 2), randn(len(t), 2, seed=1)
        target = TARGETS[prediction_name](schedule, level, x0, eps)
        row = prediction.row(level)
        scale = target.abs().amax().clamp(min=1)
        yield subject.equal("the row", row.of(x0, eps) / scale, target / scale, 1e-9)
        estimate = solve(row, level, wide(level.alpha) * x0 + wide(level.sigma) * eps, target)
        # The solve loses as many digits as it amplifies.
        lost = 1e-13 * wide(amplification(row, level)).clamp(min=1)
        both = torch.stack([(estimate.x0 - x0) / lost, (estimate.eps - eps) / lost])
        yield subject.below("the solve inverts the row, in roundings", float(both.abs().max()), 1e3)
        determinant = level.alpha * row.b - level.sigma * row.a
        size = torch.maximum(row.a.abs(), row.b.abs()) * torch.maximum(level.alpha, level.sigma)
        yield subject.equal(
            "amplification", amplification(row, level) * determinant.abs() / size, torch.ones_like(t)
        )


def min_snr(level: Level) -> Tensor:
    """Return min(SNR, 5) (Hang et al. 2023)."""
    return (level.alpha**2 / level.sigma**2).clamp(max=5.0)


WEIGHTS: dict[str, Callable[[Level], Tensor]] = {
    "in_noise": lambda at: at.alpha**2 / at.sigma**2,
    "in_data": lambda at: torch.ones_like(at.alpha),
    "in_v": lambda at: (at.alpha**2 + at.sigma**2) ** 2 / at.sigma**2,
    "in_velocity": lambda at: ((at.alpha * at.d_sigma - at.sigma * at.d_alpha) / at.sigma) ** 2,
    "min_snr": min_snr,
    "in_edm": lambda at: (at.alpha**2 * 0.49 + at.sigma**2) / (at.sigma**2 * 0.49),
    "sigmoid": lambda at: at.alpha**2 / at.sigma**2 / (1 + math.e * at.alpha**2 / at.sigma**2),
    "in_output": lambda at: (at.alpha**2 * 0.49 + at.sigma**2) / (at.sigma**2 * 0.49),
}
"""The weight of ‖x0 − x̂0‖² under each weighting of `pieces`."""


def weighting_laws(schedule_name: str) -> Iterator[Finding]:
    """Yield what holds of every weighting on one schedule: its formula, and the loss it makes."""
    schedule = SCHEDULES[schedule_name]
    t = asked_times(schedule, 24)[:-1]
    level = schedule.level(t)
    for name, weighting in WEIGHTINGS.items():
        subject = Subject("weighting", {"schedule": schedule_name, "weighting": name})
        truth = WEIGHTS[name](level)
        yield subject.equal("the weight", weighting.weight(level) / truth, torch.ones_like(t), 1e-8)
    x0, eps, error = (randn(len(t), 2, 3, seed=seed) for seed in range(3))
    for prediction_name in (p for s, p in PAIRS if s == schedule_name):
        yield loss_law(schedule_name, prediction_name, x0, eps, error)


def loss_law(schedule_name: str, prediction_name: str, x0: Tensor, eps: Tensor, error: Tensor) -> Finding:
    """Find the loss of an output that is off by a known error to be the weighted error of x0.

    With x_t known, an error e of the output is one of −sigma/determinant·e of x0.
    """
    subject = Subject("weighting", {"schedule": schedule_name, "prediction": prediction_name})
    schedule, prediction = pair(schedule_name, prediction_name)
    t = asked_times(schedule, 24)[:-1]
    level = schedule.level(t)
    row = prediction.row(level)
    output = row.of(x0, eps) + error
    denoiser = NetworkDenoiser(lambda x, shown, condition: output, schedule, prediction)
    of_x0 = level.sigma / (level.alpha * row.b - level.sigma * row.a)
    wrong = of_x0**2 * error.square().mean((1, 2))
    ratios = [
        DenoisingLoss(weighting)(denoiser, x0, eps, t) / (WEIGHTS[name](level) * wrong)
        for name, weighting in WEIGHTINGS.items()
    ]
    # The output is large where it has a large scale, and a difference of it loses that many digits.
    return subject.equal(
        "the loss is the weighted error of x0", torch.stack(ratios), torch.ones(len(ratios), len(t)), 1e-6
    )


def refusal_laws() -> Iterator[Finding]:
    """Yield the settings that are refused, and the ratio of two spaces' errors."""
    for name, build in {
        "EDM(0)": lambda: EDM(0.0),
        "MinSNR(0)": lambda: MinSNR(0.0),
        "Previous(schedule, 0)": lambda: Previous(LinearVP(), 0),
    }.items():
        yield Subject("prediction", {}).refused(f"{name} is refused", build)
    level = LinearVP().level(as_double([0.3]))
    ratio = space_weight(Noise(), level) * (level.sigma / level.alpha) ** 2
    yield Subject("weighting", {}).equal("an error of x0 is −alpha/sigma of eps", ratio, as_double([1.0]))

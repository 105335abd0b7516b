"""Two things that the lectures show, in exact numbers.

Why beta must be small: with x_t = sqrt(1 − beta)·x_s + sqrt(beta)·z, one step of noising, the reverse step

    q(x_s | x_t) ∝ q(x_s)·N(x_t; sqrt(1 − beta) x_s, beta)

is Gaussian only as beta goes to 0. Its distance KL(q ‖ the Gaussian of its mean and variance) follows by
quadrature over x_s = (x_t + sqrt(beta) u)/sqrt(1 − beta), in which the second factor is a Gaussian in u.
For small beta the skewness of q is beta^{3/2}·(log q)‴, and the distance a twelfth of its square: it falls
with beta³.

The tension: noise slowly, yet reach pure noise by T. The signal left at T is alpha/sqrt(alpha² + sigma²).
"""

import math
from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor

from sfumato.diffusion.schedules import ConstantAlpha, Schedule, cosine_betas, linear_betas, signal_left
from sfumato.errors import ConfigError
from sfumato.verify.law import Finding, Subject, as_double

Mixture = tuple[tuple[float, float, float], ...]
"""Components (weight, mean, deviation) in one dimension."""
MODES: Mixture = ((0.35, -1.2, 0.25), (0.4, 0.3, 0.35), (0.25, 1.5, 0.2))
ONE_MODE: Mixture = ((1.0, 0.3, 0.6),)
BETAS = (*(10 ** (-3 + 0.25 * i) for i in range(12)), 0.75, 0.9)
LITTLE_SIGNAL = 0.01
"""What is left at T should be below: a hundredth of the picture's contrast is not seen in the noise."""


def log_density(data: Mixture, x: Tensor) -> Tensor:
    """Return the log density of a mixture at `x`, of any shape."""
    terms = [
        math.log(weight / (std * math.sqrt(2 * math.pi))) - 0.5 * ((x - mean) / std) ** 2
        for weight, mean, std in data
    ]
    return torch.stack(terms).logsumexp(0)


def distance_from_gaussian(beta: float, data: Mixture = MODES) -> float:
    """Return E over x_t of KL(q(x_s | x_t) ‖ its Gaussian) in nats, for one step of `beta` in (0, 1)."""
    x_t = torch.linspace(-5, 5, 401, dtype=torch.float64)[:, None]
    u = torch.linspace(-9, 9, 3001, dtype=torch.float64)
    scale = math.sqrt(beta / (1 - beta))
    x_s = x_t / math.sqrt(1 - beta) + scale * u
    joint = log_density(data, x_s) - 0.5 * u**2
    log_q = joint.log_softmax(1) - math.log(float(u[1] - u[0]) * scale)
    q = joint.softmax(1)
    mean = (q * x_s).sum(1, keepdim=True)
    variance = (q * (x_s - mean) ** 2).sum(1, keepdim=True)
    log_gaussian = -0.5 * (x_s - mean) ** 2 / variance - 0.5 * (2 * math.pi * variance).log()
    divergence = (q * (log_q - log_gaussian)).sum(1)
    weight = joint.logsumexp(1).softmax(0)
    return float((weight * divergence).sum())


NOISINGS: dict[str, Callable[[int], Schedule]] = {
    "constant alpha 0.99": lambda steps: ConstantAlpha(0.99, steps),
    "constant alpha 0.9": lambda steps: ConstantAlpha(0.9, steps),
    "linear betas": linear_betas,
    "cosine betas": cosine_betas,
}
LENGTHS = (5, 10, 20, 30, 50, 100, 200, 300, 500, 1000)


def signal_by_length(build: Callable[[int], Schedule]) -> tuple[list[int], list[float]]:
    """Return numbers of steps T and the signal left at each, of those that can be built."""
    steps, left = [], []
    for length in LENGTHS:
        try:
            schedule = build(length)
        except ConfigError:
            continue
        steps.append(length)
        left.append(signal_left(schedule))
    return steps, left


def demonstration_laws() -> Iterator[Finding]:
    """Yield what the two demonstrations show."""
    subject = Subject("demonstration", {})
    distances = as_double([distance_from_gaussian(beta) for beta in BETAS])
    yield subject.holds("the distance from Gaussian grows with beta", bool((distances.diff() > 0).all()))
    small = math.log(distance_from_gaussian(2e-3) / distance_from_gaussian(1e-3), 2)
    yield subject.within("and falls with beta³", small, 3.0, 0.1)
    yield subject.below("of Gaussian data it is 0", distance_from_gaussian(0.5, ONE_MODE), 1e-10)
    for share in (0.99, 0.9):
        steps, left = signal_by_length(partial(ConstantAlpha, share))
        truth = as_double([share ** (n / 2) for n in steps])
        yield subject.equal(f"the signal left of alpha {share} is its power", as_double(left), truth)

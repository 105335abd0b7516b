"""The oracle itself, held against the mixture's definition by quadrature.

    p(x_t) = ∫ p(x0) N(x_t; alpha x0, sigma² I) dx0,   E[x0 | x_t] = ∫ x0 p(x0) N(x_t; …) dx0 / p(x_t)

On a square grid the trapezoidal rule is exact to rounding for Gaussians that it resolves.
"""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from sfumato.diffusion.exact import ExactDenoiser, GaussianMixture, gaussian
from sfumato.diffusion.level import Level
from sfumato.diffusion.schedules import RectifiedFlow
from sfumato.normal import Normal
from sfumato.randomness import generator
from sfumato.verify.law import Finding, Subject, as_double
from sfumato.verify.oracle import MIXTURE, randn

COVARIANCES = as_double([[[0.3, 0.1], [0.1, 0.2]], [[0.2, -0.1], [-0.1, 0.3]], [[0.4, 0.0], [0.0, 0.15]]])
MEANS = as_double([[1.0, 0.5], [-1.2, 0.8], [0.2, -1.3]])
WEIGHTS = as_double([0.5, 0.3, 0.2])
CELLS, REACH = 241, 6.0


def grid() -> tuple[Tensor, Tensor]:
    """Return the points of a square grid, (N, 2), and the mixture's density there by its definition, (N,)."""
    axis = torch.linspace(-REACH, REACH, CELLS, dtype=torch.float64)
    points = torch.cartesian_prod(axis, axis)
    density = torch.zeros(len(points), dtype=torch.float64)
    for weight, mean, covariance in zip(WEIGHTS, MEANS, COVARIANCES, strict=True):
        offset = points - mean
        exponent = (offset @ torch.linalg.inv(covariance) * offset).sum(1)
        density += weight * (-0.5 * exponent).exp() / (2 * math.pi * torch.linalg.det(covariance).sqrt())
    return points, density


def exact_laws() -> Iterator[Finding]:
    """Yield what holds of the mixture and its denoiser."""
    subject = Subject("oracle", {"denoiser": "exact"})
    points, density = grid()
    cell = (2 * REACH / (CELLS - 1)) ** 2
    for alpha, sigma in ((0.9, 0.4), (0.4, 0.9), (1.0, 2.0)):
        level = Level(*as_double([0.5, alpha, sigma, 0.0, 0.0]))
        x_t = alpha * MEANS + randn(3, 2)
        for x in x_t:
            kernel = (-((x - alpha * points) ** 2).sum(1) / (2 * sigma**2)).exp() / (2 * math.pi * sigma**2)
            total = (density * kernel).sum() * cell
            mean = (points * (density * kernel)[:, None]).sum(0) * cell / total
            yield subject.equal("log p(x_t)", MIXTURE.log_prob(x[None], level), total.log()[None], 1e-8)
            yield subject.equal("E[x0 | x_t]", MIXTURE.posterior_mean(x[None], level), mean[None], 1e-8)
    flow = RectifiedFlow()
    t = as_double([0.2, 0.5, 0.9])
    estimate = ExactDenoiser(MIXTURE, flow).estimate(x_t, t)
    explained = (1 - t)[:, None] * estimate.x0 + t[:, None] * estimate.eps
    yield subject.equal("both explain x_t", explained, x_t)
    yield subject.equal("an estimate is E[x0 | x_t]", estimate.x0, MIXTURE.posterior_mean(x_t, flow.level(t)))
    n = 20_000
    samples = MIXTURE.sample(n, generator(5, "exact"))
    mean = (WEIGHTS[:, None] * MEANS).sum(0)
    second = (WEIGHTS[:, None, None] * (COVARIANCES + MEANS[:, :, None] * MEANS[:, None])).sum(0)
    spread = second - torch.outer(mean, mean)
    beyond = ((samples.mean(0) - mean) / (spread.diagonal() / n).sqrt()).abs().max()
    yield subject.below("samples' mean, in standard errors", float(beyond), 4.5)
    off = (samples.T.cov() - spread).abs().max()
    # A covariance of n samples of spread 1 errs by about sqrt(2/n) = 0.01.
    yield subject.below("samples' covariance", float(off), 0.05)
    one = gaussian(as_double([0.3]), as_double([[0.25]]))
    yield subject.equal(
        "a Gaussian",
        one.log_prob(as_double([[0.8]]), flow.level(0.0)),
        as_double([-0.5 - math.log(0.5 * math.sqrt(2 * math.pi))]),
    )
    wrong = as_double([[[1.0, 2.0], [2.0, 1.0]]])
    yield subject.refused("no covariance", lambda: GaussianMixture.of(torch.ones(1), MEANS[:1], wrong))
    yield subject.refused(
        "weights of 2", lambda: GaussianMixture.of(torch.full((1,), 2.0), MEANS[:1], COVARIANCES[:1])
    )


def normal_laws() -> Iterator[Finding]:
    """Yield the divergence and the density of Gaussians, by quadrature in one dimension."""
    subject = Subject("oracle", {})
    x = torch.linspace(-12, 12, 4001, dtype=torch.float64)
    a, b = Normal(as_double([[0.3]]), as_double([[0.7]])), Normal(as_double([[-0.5]]), as_double([[1.3]]))
    log_a, log_b = (
        -0.5 * ((x - m) / s) ** 2 - math.log(s * math.sqrt(2 * math.pi)) for m, s in ((0.3, 0.7), (-0.5, 1.3))
    )
    cell = 24 / 4000
    yield subject.equal("log N(x; m, s)", a.log_prob(as_double([[x[1700]]])), log_a[1700:1701])
    yield subject.equal("KL(N ‖ N)", a.kl(b), ((log_a.exp() * (log_a - log_b)).sum() * cell)[None])

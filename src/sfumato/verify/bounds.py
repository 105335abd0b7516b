"""The variational bound, its decoder and its objectives, held against Gaussian algebra written out anew.

A hierarchical model whose encoders q(z_k | z_{k−1}) = N(a_k z_{k−1}, b_k) are fixed has posteriors that
follow from products of Gaussians alone. Its bound, computed so, must be the diffusion bound, term by term.
"""

import math
from collections.abc import Iterator
from itertools import pairwise

import torch
from torch import Tensor

from sfumato.condition import Condition
from sfumato.diffusion.bound import Chain, bits_per_dimension, bound, deviations
from sfumato.diffusion.bound_objective import Hybrid, VariationalBound
from sfumato.diffusion.decoder import ContinuousGaussian, DiscretisedGaussian
from sfumato.diffusion.denoiser import NetworkDenoiser
from sfumato.diffusion.objective import DenoisingLoss
from sfumato.diffusion.prediction import V
from sfumato.diffusion.times import ImportanceSteps, Steps, Uniform
from sfumato.diffusion.variance import FixedSmall, LearnedRange
from sfumato.diffusion.weighting import InV
from sfumato.normal import Normal
from sfumato.verify.law import Finding, Subject, as_double
from sfumato.verify.oracle import FixedNoise, KnownDenoiser, randn
from sfumato.verify.pieces import DENSITIES, SCHEDULES, VARIANCES

STEPS = 10
Numbers = tuple[float, float]
"""A Gaussian's mean and variance."""


def kl(q: Numbers, p: Numbers) -> float:
    """Return KL(q ‖ p) of one-dimensional Gaussians."""
    return 0.5 * (q[1] / p[1] + (q[0] - p[0]) ** 2 / p[1] - 1 + math.log(p[1] / q[1]))


def encoders(alphas: list[float], variances: list[float]) -> list[Numbers]:
    """Return the steps (a_k, b_k) by which the levels (alpha, variance) come about, one fewer."""
    found = []
    for k in range(1, len(alphas)):
        a = alphas[k] / alphas[k - 1]
        found.append((a, variances[k] - a * a * variances[k - 1]))
    return found


def product(prior: Numbers, factor: float, noise: float, seen: float) -> Numbers:
    """Return the law of z ~ `prior` given that factor·z + N(0, noise) was `seen`."""
    variance = 1 / (1 / prior[1] + factor**2 / noise)
    return variance * (prior[0] / prior[1] + factor * seen / noise), variance


def hierarchy(name: str, x0: float, guess: float, z: float) -> tuple[list[float], float, Numbers]:
    """Return the KL terms of steps 2 … T, the prior's, and the last step's Gaussian, for data `x0`.

    The model's steps are the encoders' posteriors at its guess of x0; every state is alpha·x0 + sigma·z.
    """
    levels = [SCHEDULES[name].level(k / STEPS) for k in range(STEPS + 1)]
    alphas, variances = [float(v.alpha) for v in levels], [float(v.sigma) ** 2 for v in levels]
    terms = []
    for k, (factor, noise) in enumerate(encoders(alphas, variances), start=1):
        seen = alphas[k] * x0 + math.sqrt(variances[k]) * z
        if k > 1:
            q, p = (product((alphas[k - 1] * x, variances[k - 1]), factor, noise, seen) for x in (x0, guess))
            terms.append(kl(q, p))
    pure = SCHEDULES[name].prior_std ** 2
    return terms, kl((alphas[-1] * x0, variances[-1]), (0.0, pure)), (guess, variances[1])


def bound_laws(name: str) -> Iterator[Finding]:
    """Yield the bound of one schedule's chain, where it starts at the data."""
    schedule = SCHEDULES[name]
    subject = Subject("bound", {"schedule": name})
    if float(schedule.level(0.0).sigma) > 0:
        yield subject.refused(
            "a chain that starts with noise", lambda: Chain(schedule, 5, FixedSmall(), ContinuousGaussian())
        )
        return
    x0, guess, z = 0.7, 0.4, 0.6
    chain = Chain(schedule, STEPS, FixedSmall(), ContinuousGaussian())
    noise = FixedNoise(as_double([[z]]))
    terms = bound(KnownDenoiser(schedule, as_double([[guess]])), chain, as_double([[x0]]), noise)
    steps, prior_term, (mean, _) = hierarchy(name, x0, guess, z)
    yield subject.equal("KL terms are the hierarchy's", terms.steps.flatten(), as_double(steps), 1e-8)
    yield subject.equal("the prior's term", terms.prior, as_double([prior_term]), 1e-8)
    # The last step's own posterior is a point, so the next one's deviation stands in for it.
    one, two = schedule.level(1 / STEPS), schedule.level(2 / STEPS)
    ratio = float(two.alpha / one.alpha)
    step = float(two.sigma) ** 2 - ratio**2 * float(one.sigma) ** 2
    width = math.sqrt(step) * float(one.sigma) / float(two.sigma)
    last = 0.5 * ((x0 - mean) / width) ** 2 + math.log(width) + 0.5 * math.log(2 * math.pi)
    yield subject.equal("the decoder's term", terms.decoder, as_double([last]), 1e-8)
    whole = prior_term + math.fsum(steps) + last
    yield subject.equal("the total", terms.total, as_double([whole]), 1e-8)
    snr = [float(schedule.level(k / STEPS).snr) for k in range(1, STEPS + 1)]
    falls = [0.5 * (before - after) * (x0 - guess) ** 2 for before, after in pairwise(snr)]
    yield subject.equal("½ (SNR_s − SNR_t) of the error", terms.steps.flatten(), as_double(falls), 1e-8)
    yield from width_laws(name)
    yield from objective_laws(name)


def width_laws(name: str) -> Iterator[Finding]:
    """Yield the deviations of the chain's steps under each variance."""
    schedule = SCHEDULES[name]
    s, t = as_double([0.0, 0.3, 0.8]), as_double([0.1, 0.4, 0.9])
    small, large = [], []
    for a, b in zip(s.tolist(), t.tolist(), strict=True):
        before, after = schedule.level(a if a else b), schedule.level(b if a else 2 * b)
        ratio = after.alpha / before.alpha
        variance = float(after.sigma**2 - ratio**2 * before.sigma**2)
        small.append(math.sqrt(variance) * float(before.sigma / after.sigma))
        own = schedule.level(a), schedule.level(b)
        large.append(math.sqrt(float(own[1].sigma ** 2 - (own[1].alpha / own[0].alpha * own[0].sigma) ** 2)))
    found = deviations(schedule, s, t)
    for variance_name in VARIANCES:
        subject = Subject("bound", {"schedule": name, "variance": variance_name})
        yield subject.equal("the smaller deviation", found[0], as_double(small), 1e-7)
        yield subject.equal("the larger deviation", found[1], as_double(large), 1e-7)
    only = deviations(schedule, as_double(0.0), as_double(1.0))
    yield Subject("bound", {"schedule": name}).equal("of a chain of one step", only[0], only[1])


def halved(x: Tensor, level: Tensor, condition: Condition | None) -> Tensor:
    """A network with twice the outputs: a prediction, and a fraction between."""
    return torch.cat([0.5 * x, 0.3 * x - 0.2], 1)


def objective_laws(name: str) -> Iterator[Finding]:
    """Yield that the objective's mean over steps, weighted by their probability, is the sum of the terms."""
    schedule = SCHEDULES[name]
    denoiser = NetworkDenoiser(halved, schedule, V(), variance=LearnedRange())
    x0, eps = 0.5 * randn(STEPS, 2), randn(STEPS, 2, seed=1)
    index = torch.arange(1, STEPS + 1, dtype=torch.float64)
    level = schedule.level(index / STEPS)
    x_t = level.alpha[:, None] * x0 + level.sigma[:, None] * eps
    chain = Chain(schedule, STEPS, LearnedRange(), ContinuousGaussian())
    terms = chain.term(denoiser.estimate(x_t, index / STEPS), x0, x_t, index)
    for times_name in ("steps", "importance_steps"):
        subject = Subject("bound", {"schedule": name, "times": times_name})
        density = DENSITIES[times_name]
        assert isinstance(density, Steps | ImportanceSteps)
        shares = density.probabilities(schedule)
        loss = VariationalBound(density, ContinuousGaussian())(denoiser, x0, eps, index / STEPS)
        in_bits = terms / shares / (2 * math.log(2))
        yield subject.equal("a draw's share of the bound", loss, in_bits, 1e-8)
        yield subject.equal("shares sum to 1", shares.sum(), 1.0)
        both = Hybrid(density, ContinuousGaussian(), InV(), 0.01)(denoiser, x0, eps, index / STEPS)
        simple = DenoisingLoss(InV())(denoiser, x0, eps, index / STEPS)
        yield subject.equal(
            "the hybrid is the simple loss and a share of it", both, simple + 0.01 * in_bits, 1e-8
        )


def decoder_laws() -> Iterator[Finding]:
    """Yield the discretised Gaussian: masses by the error function, which sum to 1."""
    subject = Subject("bound", {"decoder": "discretised"})
    decoder, width = DiscretisedGaussian(), 2 / 255
    values = torch.linspace(-1, 1, 256, dtype=torch.float64)[:, None]
    for mean, std in ((0.1, 0.2), (-0.97, 0.05), (0.6, 1.5)):
        belief = Normal(torch.full_like(values, mean), torch.full_like(values, std))
        mass = decoder.log_prob(values, belief).exp()
        yield subject.equal("256 bins hold all", mass.sum(), 1.0)
        edges = (torch.linspace(-1 - width / 2, 1 + width / 2, 257, dtype=torch.float64) - mean) / std
        share = 0.5 * (1 + torch.erf(edges / math.sqrt(2)))
        share[0], share[-1] = 0.0, 1.0
        yield subject.equal("a bin's mass", mass, share.diff(), 1e-12)
    far = Normal(as_double([[-1.0]]), as_double([[1e-3]]))
    inside = decoder.log_prob(as_double([[0.5]]), far)
    # −½u² − log(u sqrt(2π)) bounds a tail at u deviations from above, and within 1/u² of it.
    u = (1.5 - width / 2) / 1e-3
    yield subject.below(
        "a tail's logarithm",
        abs(float(inside) / (-0.5 * u * u - math.log(u * math.sqrt(2 * math.pi))) - 1),
        1e-3,
    )
    density = ContinuousGaussian().log_prob(
        as_double([[0.5]]), Normal(as_double([[0.2]]), as_double([[0.6]]))
    )
    truth = -0.5 * 0.25 - math.log(0.6 * math.sqrt(2 * math.pi))
    subject = Subject("bound", {"decoder": "continuous"})
    yield subject.equal("a density", density, as_double([truth]))
    yield subject.equal(
        "bits per dimension", bits_per_dimension(as_double([3.0]), 4), as_double([0.75 / math.log(2)])
    )
    yield subject.refused("no width", lambda: DiscretisedGaussian(0.0))
    yield subject.refused(
        "times that are no steps", lambda: VariationalBound(Uniform(), ContinuousGaussian())
    )
    yield subject.refused("a share of 0", lambda: Hybrid(Steps(5), ContinuousGaussian(), InV(), 0.0))
    yield subject.refused(
        "no step", lambda: Chain(SCHEDULES["linear_vp"], 0, FixedSmall(), ContinuousGaussian())
    )

"""Likelihoods held against the exact ones of a mixture of Gaussians whose spectrum is a power law.

The flow's log density must be the mixture's. The bound lies above −log p in the mean over data (one example's
may not, because the chain's own density can exceed the data's there) and comes down to it as its steps grow,
with the larger variance, which is the best one where the data is smooth at the scale of the noise. The
smaller variance is too narrow by half at the cleanest steps, however short they are, and keeps a gap.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from sfumato.diffusion.bound import Chain, bits_per_dimension
from sfumato.diffusion.decoder import ContinuousGaussian
from sfumato.diffusion.denoiser import Denoiser
from sfumato.diffusion.exact import ExactDenoiser, GaussianMixture
from sfumato.diffusion.likelihood import FlowLikelihood, Trace
from sfumato.diffusion.process import prior, transition
from sfumato.diffusion.schedules import LinearVP, RectifiedFlow, Schedule, time_of_log_snr
from sfumato.diffusion.variance import FixedLarge
from sfumato.randomness import Noise, generator
from sfumato.verify.oracle import BlockNoise
from sfumato.verify.pieces import SCHEDULES

CHAIN_SCHEDULE, CHAIN_VARIANCE = LinearVP(), FixedLarge()
"""What the bound is measured on: a schedule that starts at the data, and the best fixed variance there."""
START_RATIO = 1e-3
"""The noise over the signal at which a path starts: far below the spread of the mixture in any direction."""
MOST_SIGNAL_LEFT = 0.03
"""Where more than this is left at t = 1, pure noise is another distribution than the flow's end."""
TOLERANCE = 0.01
"""Bits per dimension that a likelihood may be off, beside three standard errors."""


def power_law_mixture(dimensions: int, components: int = 10, seed: int = 0) -> GaussianMixture:
    """Return a mixture whose components' means and covariances fall with the k-th axis as 1/k.

    Every component has its own axes, so its Jacobians are full matrices.
    """
    draws = generator(seed, "power law")
    weights = 0.5 + torch.rand(components, generator=draws, dtype=torch.float64)
    spectrum = 1 / torch.arange(1, dimensions + 1, dtype=torch.float64)
    shape = (components, dimensions, dimensions)
    axes, _ = torch.linalg.qr(torch.randn(shape, generator=draws, dtype=torch.float64))
    means = spectrum.sqrt() * torch.randn(shape[:2], generator=draws, dtype=torch.float64)
    return GaussianMixture(weights / weights.sum(), means, axes, (0.3 * spectrum).expand(shape[:2]))


@dataclass(frozen=True)
class FlowRow:
    """How far the flow's log density is from the exact one, in bits per dimension.

    error: of the mean over examples, with its standard error; worst: of one example; evaluations: for each.
    """

    schedule: str
    trace: str
    dimensions: int
    error: float
    standard_error: float
    worst: float
    evaluations: int


@dataclass(frozen=True)
class BoundRow:
    """The bound of a chain of `steps` steps against the exact −log p, in bits per dimension.

    gap: bound − exact on the same examples; standard_error: of the gap.
    """

    steps: int
    bound: float
    exact: float
    gap: float
    standard_error: float


def clean_log_prob(mixture: GaussianMixture, x0: Tensor) -> Tensor:
    """Return the exact log density of clean data, in nats: (B,)."""
    return mixture.log_prob(x0, RectifiedFlow().level(0.0))


def first_time(schedule: Schedule) -> float:
    """Return the time at which sigma/alpha is `START_RATIO`, or the cleanest there is."""
    ratio = torch.tensor(START_RATIO, dtype=torch.float64)
    return float(time_of_log_snr(schedule, -2 * ratio.log()))


def flow_row(name: str, dimensions: int, trace: Trace, examples: int = 16) -> FlowRow:
    """Measure the flow's log density on one schedule of `SCHEDULES`."""
    mixture, schedule = power_law_mixture(dimensions), SCHEDULES[name]
    x0 = mixture.sample(examples, generator(1, "power law"))
    likelihood = FlowLikelihood(trace, start=first_time(schedule))
    found = likelihood(ExactDenoiser(mixture, schedule), x0, BlockNoise(0))
    errors = bits_per_dimension(found.log_prob - clean_log_prob(mixture, x0), dimensions)
    return FlowRow(
        name,
        type(trace).__name__,
        dimensions,
        float(errors.mean()),
        float(errors.std()) / math.sqrt(examples),
        float(errors.abs().max()),
        found.evaluations,
    )


def path_bound(denoiser: Denoiser, chain: Chain, x0: Tensor, noise: Noise) -> Tensor:
    """Return log q(x_1 … x_T | x0) − log p(x0 … x_T) of one path an example, in nats: (B,); x0: (B, ...).

    Its mean is the bound, as a hierarchical autoencoder states it: encoders up, decoders down, no posterior
    and no divergence in between. As the model comes to the truth, it comes to −log p(x0) on *every* path, so
    it resolves gaps for which the sum of divergences would need a million examples.
    """
    total, x_s = torch.zeros(len(x0), dtype=x0.dtype), x0
    for number in range(1, chain.steps + 1):
        index = torch.full((len(x0),), number, dtype=torch.float64)
        s, t = (index - 1) / chain.steps, index / chain.steps
        encoder = transition(chain.schedule, x_s, s, t)
        x_t = encoder.sample(noise.normal(x0.shape))
        model = chain.reverse(denoiser.estimate(x_t, t[0]), x_t, index)
        down = chain.decoder.log_prob(x0, model) if number == 1 else model.log_prob(x_s)
        total, x_s = total + encoder.log_prob(x_t) - down, x_t
    return total - prior(chain.schedule, x_s).log_prob(x_s)


def bound_row(steps: int, dimensions: int = 64, examples: int = 64) -> BoundRow:
    """Measure the bound of one chain."""
    mixture = power_law_mixture(dimensions)
    x0 = mixture.sample(examples, generator(2, "power law"))
    chain = Chain(CHAIN_SCHEDULE, steps, CHAIN_VARIANCE, ContinuousGaussian())
    nats = path_bound(ExactDenoiser(mixture, CHAIN_SCHEDULE), chain, x0, BlockNoise(steps))
    found = bits_per_dimension(nats, dimensions)
    exact = bits_per_dimension(-clean_log_prob(mixture, x0), dimensions)
    gap = found - exact
    error = float(gap.std()) / math.sqrt(examples)
    return BoundRow(steps, float(found.mean()), float(exact.mean()), float(gap.mean()), error)

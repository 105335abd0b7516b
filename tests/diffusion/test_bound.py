"""The bound is the hierarchical autoencoder's, it lies above −log p, and its objectives estimate it."""

import math
from dataclasses import dataclass, replace

import pytest
import torch

from sfumato.condition import Condition
from sfumato.diffusion.bound import (
    BoundTerms,
    Chain,
    bits_per_dimension,
    bound,
    bound_terms,
    deviations,
    starts_at_data,
)
from sfumato.diffusion.bound_objective import Hybrid, VariationalBound
from sfumato.diffusion.decoder import ContinuousGaussian, DiscretisedGaussian
from sfumato.diffusion.denoiser import NetworkDenoiser
from sfumato.diffusion.exact import ExactDenoiser, gaussian
from sfumato.diffusion.level import Level, as_time
from sfumato.diffusion.objective import DenoisingLoss
from sfumato.diffusion.prediction import V
from sfumato.diffusion.process import corrupt
from sfumato.diffusion.schedules import Betas, CosineVP, GeometricVE, LinearVP, NoiseSteps, RectifiedFlow
from sfumato.diffusion.times import ImportanceSteps, Steps, Uniform
from sfumato.diffusion.variance import FixedLarge, FixedSmall, LearnedRange
from sfumato.diffusion.weighting import InNoise
from sfumato.errors import ConfigError
from sfumato.normal import Normal
from sfumato.verify.likelihoods import bound_row, path_bound, power_law_mixture
from sfumato.verify.pieces import SCHEDULES, STEP_BETAS, STEP_SIGMAS, VARIANCES

from .helpers import COVARIANCE, MEAN, BlockNoise, FixedNoise, KnownDenoiser, close, number, randn

CHAINS = {name: schedule for name, schedule in SCHEDULES.items() if starts_at_data(schedule)}
every_chain = pytest.mark.parametrize("schedule", CHAINS.values(), ids=CHAINS)
every_variance = pytest.mark.parametrize("variance", VARIANCES.values(), ids=VARIANCES)
DENSITY = ContinuousGaussian()
GAUSSIAN = gaussian(MEAN, COVARIANCE)


@dataclass(frozen=True)
class FixedEncoders:
    """A hierarchical autoencoder: q(z_k | z_{k−1}) = N(a_k·z_{k−1}, b_k² I), which knows no schedule."""

    keep: tuple[float, ...]
    spread: tuple[float, ...]

    def one_shot(self, level):
        scale, variance = 1.0, 0.0
        for keep, spread in zip(self.keep[:level], self.spread[:level], strict=True):
            scale, variance = scale * keep, variance * keep**2 + spread**2
        return scale, variance

    def posterior(self, level, x, z):
        """Bayes' rule: a product of two Gaussians, whose precisions add up."""
        keep, spread = self.keep[level - 1], self.spread[level - 1]
        scale, variance = self.one_shot(level - 1)
        above, below = (keep / spread) ** 2, 1 / variance
        mean = (above * z / keep + below * scale * x) / (above + below)
        return Normal(mean, number((above + below) ** -0.5))

    def terms(self, decode, x, noises):
        """The bound's terms on one path, level by level: the paths, K − 1 divergences, and the prior's."""
        path, z = [], x
        for keep, spread, noise in zip(self.keep, self.spread, noises, strict=True):
            z = keep * z + spread * noise
            path.append(z)
        divergences = [
            self.posterior(level, x, z).kl(self.posterior(level, decode(z, level), z))
            for level, z in enumerate(path, start=1)
            if level > 1
        ]
        scale, variance = self.one_shot(len(path))
        return path, divergences, Normal(scale * x, number(variance).sqrt())


@dataclass(frozen=True)
class LevelsOf:
    """The schedule of some encoders, at the ends of their steps."""

    encoders: FixedEncoders
    t_min = 0.1
    prior_std = 1.7

    def level(self, t):
        time = as_time(t)
        steps = (time * len(self.encoders.keep)).round().long()
        scale, variance = zip(
            *(self.encoders.one_shot(step) for step in steps.flatten().tolist()), strict=True
        )
        scale, sigma = number(scale).reshape(time.shape), number(variance).sqrt().reshape(time.shape)
        return Level(time, scale, sigma, scale, sigma)


UNTIDY = FixedEncoders((0.9, 1.1, 0.7, 1.0, 0.4), (0.3, 0.5, 0.2, 0.9, 1.3))
HIERARCHIES = {
    "untidy": (UNTIDY, LevelsOf(UNTIDY)),
    "betas": (
        FixedEncoders(tuple((1 - b) ** 0.5 for b in STEP_BETAS), tuple(b**0.5 for b in STEP_BETAS)),
        Betas(STEP_BETAS),
    ),
    "noise_steps": (FixedEncoders((1.0,) * 10, STEP_SIGMAS), NoiseSteps(STEP_SIGMAS)),
}


@pytest.mark.parametrize(("encoders", "schedule"), HIERARCHIES.values(), ids=HIERARCHIES)
def test_the_bound_is_that_of_a_hierarchical_autoencoder(encoders, schedule):
    steps, x0 = len(encoders.keep), randn(4, 3)

    def decode(z, level):
        return torch.tanh(z) * (1 + 0.1 * level)

    path, divergences, top = encoders.terms(decode, x0, randn(steps, 4, 3, seed=1))
    chain = Chain(schedule, steps, FixedSmall(), DENSITY)
    snr = schedule.level(torch.arange(1, steps + 1, dtype=torch.float64) / steps).snr
    total, in_divergences, in_ratios = top.kl(Normal(0 * x0, number(schedule.prior_std))), [], []
    close(chain.prior_term(x0), total, rtol=1e-8)
    for k, z in enumerate(path, start=1):
        x_hat = decode(z, k)
        index = torch.full((4,), k, dtype=torch.float64)
        found = chain.term(KnownDenoiser(schedule, x_hat).estimate(z, index / steps), x0, z, index)
        if k > 1:
            in_divergences.append(found)
            in_ratios.append(0.5 * (snr[k - 2] - snr[k - 1]) * (x0 - x_hat).square().sum(1))
        else:
            width = encoders.posterior(2, x0, path[1]).std
            close(found, -Normal(x_hat, width).log_prob(x0), rtol=1e-8)
    close(torch.stack(in_divergences), torch.stack(divergences), rtol=1e-8, atol=1e-8)
    close(torch.stack(in_ratios), torch.stack(divergences), rtol=1e-8, atol=1e-8)


@every_chain
@every_variance
def test_gaussian_data_has_its_terms_in_closed_form(schedule, variance):
    """E[KL] over data and noise: of two Gaussians whose means differ by of_x0·(x0 − x̂0)."""
    steps, fraction = 10, 0.3
    chain = Chain(schedule, steps, variance, DENSITY)
    data_variance, n = 0.4, 20_000
    x0 = data_variance**0.5 * randn(n, 1)
    for k in (2, 5, 10):
        s, t = (schedule.level(number(i / steps)) for i in (k - 1, k))
        left = data_variance * t.sigma**2 / (t.alpha**2 * data_variance + t.sigma**2)
        factor = t.alpha / s.alpha
        step = t.sigma**2 - factor**2 * s.sigma**2
        small, large = step.sqrt() * s.sigma / t.sigma, step.sqrt()
        std = {"FixedSmall": small, "FixedLarge": large}.get(
            type(variance).__name__, small ** (1 - fraction) * large**fraction
        )
        moved = (s.alpha * step / t.sigma**2) ** 2 * left
        truth = (std / small).log() + (small**2 + moved) / (2 * std**2) - 0.5
        x_t = corrupt(schedule, x0, randn(n, 1, seed=k), t.t)
        estimate = ExactDenoiser(gaussian(number([0.0]), number([[data_variance]])), schedule).estimate(
            x_t, t.t
        )
        estimate = replace(estimate, variance_fraction=torch.full_like(x_t, fraction))
        found = chain.term(estimate, x0, x_t, torch.full((n,), k, dtype=torch.float64))
        # Five standard errors.
        assert abs(float(found.mean() - truth)) < 5 * float(found.std()) / n**0.5 + 1e-12


@every_chain
def test_the_prior_s_term_is_the_divergence_to_pure_noise(schedule):
    x0, end = randn(4, 3), schedule.level(1.0)
    ends = torch.distributions.Normal(end.alpha * x0, end.sigma.expand(4, 3))
    pure = torch.distributions.Normal(torch.zeros(4, 3, dtype=torch.float64), schedule.prior_std)
    truth = torch.distributions.kl_divergence(ends, pure).sum(1)
    close(Chain(schedule, 4, FixedSmall(), DENSITY).prior_term(x0), truth)


@every_variance
@every_chain
def test_divergences_and_paths_agree_in_the_mean(schedule, variance):
    denoiser, n = HalfRange(ExactDenoiser(GAUSSIAN, schedule)), 20_000
    x0 = GAUSSIAN.sample(n, torch.Generator().manual_seed(0))
    chain = Chain(schedule, 5, variance, DENSITY)
    divergences = bound(denoiser, chain, x0, BlockNoise(1)).total
    paths = path_bound(denoiser, chain, x0, BlockNoise(2))
    # Five standard errors of the difference of two means over the same examples.
    error = float((divergences - paths).std()) / n**0.5
    assert abs(float((divergences - paths).mean())) < 5 * error


@dataclass
class HalfRange:
    """A denoiser that has learned to take the geometric middle of both variances."""

    denoiser: ExactDenoiser

    def estimate(self, x_t, t, condition=None):
        return replace(self.denoiser.estimate(x_t, t), variance_fraction=torch.full_like(x_t, 0.5))


def test_the_bound_comes_down_to_the_exact_value():
    rows = [bound_row(steps) for steps in (10, 100, 300)]
    for row in rows:
        # In 64 dimensions the gap is far above chance, not only not below it.
        assert row.gap > 3 * row.standard_error
        close(row.bound - row.exact, row.gap)
    assert rows[0].gap > 3 * rows[1].gap > 3 * rows[2].gap
    assert rows[2].gap < 0.15


def test_a_wrong_model_has_a_larger_bound():
    mixture = power_law_mixture(2)
    x0 = mixture.sample(2000, torch.Generator().manual_seed(1))
    for variance in (FixedSmall(), FixedLarge()):
        chain = Chain(LinearVP(), 20, variance, DENSITY)
        right = path_bound(ExactDenoiser(mixture, LinearVP()), chain, x0, BlockNoise(1))
        other = gaussian(x0.mean(0), 0.5 * x0.T.cov())
        wrong = path_bound(ExactDenoiser(other, LinearVP()), chain, x0, BlockNoise(1))
        assert float((wrong - right).mean()) > 5 * float((wrong - right).std()) / 2000**0.5


def test_the_smaller_variance_keeps_a_known_gap():
    """On wide data near the clean end, sigma² ~ t: each term is known, and so is what they add up to.

    Step i adds ½ (1/(i − 1) − log(i/(i − 1))), together ½·Euler's constant; the decoder's width is half the
    right variance and adds ½ (1 − log 2).
    """
    steps, wide = 20_000, 1e4
    schedule = LinearVP(1e-5, 1e-5)
    chain = Chain(schedule, steps, FixedSmall(), DENSITY)
    index = torch.arange(1, steps + 1, dtype=torch.float64)
    t = schedule.level(index / steps)
    # The mean over x0 and eps of the squared error is the posterior's variance: one example stands for all.
    left = (wide * t.sigma**2 / (t.alpha**2 * wide + t.sigma**2)).sqrt()[:, None]
    zero = torch.zeros_like(left)
    terms = chain.term(KnownDenoiser(schedule, left).estimate(zero, index / steps), zero, zero, index)
    # The best there is: the entropies of the true reverse steps, x_s given x_t.
    s = schedule.level((index - 1) / steps)
    factor = t.alpha / s.alpha
    total_s, total_t = s.alpha**2 * wide + s.sigma**2, t.alpha**2 * wide + t.sigma**2
    reverse = total_s * (t.sigma**2 - factor**2 * s.sigma**2) / total_t
    posterior = reverse[1:] * (s.sigma**2 / t.sigma**2)[1:] * (total_t / total_s)[1:]
    best = 0.5 * (reverse[1:] / posterior).log().sum() + 0.5 * (2 * math.pi * math.e * reverse[0]).log()
    euler = 0.5772156649015329
    # The sum over i stops at 20,000 and leaves 1/(4·20,000); data of variance 10⁴ is wide to 1e-9.
    close(terms.sum() - best, 0.5 * euler + 0.5 * (1 - math.log(2)), rtol=0, atol=3e-5)


@every_chain
def test_all_terms_are_there_and_in_order(schedule):
    x0, denoiser = randn(4, 2, 3), KnownDenoiser(schedule, 0.3 * randn(4, 2, 3, seed=1))
    chain = Chain(schedule, 10, FixedSmall(), DENSITY)
    noise = FixedNoise(randn(4, 2, 3, seed=2))
    terms = bound(denoiser, chain, x0, noise)
    yielded = list(bound_terms(denoiser, chain, x0, noise))
    assert terms.steps.shape == (9, 4)
    assert terms.dimensions == 6
    close(terms.decoder, yielded[-1])
    close(terms.steps, torch.stack(yielded[:-1]).flip(0))
    for row, k in zip(terms.steps, range(2, 11), strict=True):
        s, t = (schedule.level(i / 10) for i in (k - 1, k))
        close(row, 0.5 * (s.snr - t.snr) * (x0 - denoiser.x0).square().sum((1, 2)), rtol=1e-7, atol=1e-9)
    close(terms.total, terms.prior + terms.steps.sum(0) + terms.decoder)


@every_variance
def test_a_chain_of_one_step_is_a_prior_and_a_decoder(variance):
    x0 = randn(4, 2)
    denoiser = HalfRange(ExactDenoiser(gaussian(torch.zeros(2), torch.eye(2)), LinearVP()))
    terms = bound(denoiser, Chain(LinearVP(), 1, variance, DENSITY), x0, BlockNoise(0))
    assert terms.steps.shape == (0, 4)
    # The one step has the transition's deviation in every variance, sigma(1) here.
    guess = denoiser.estimate(corrupt(LinearVP(), x0, BlockNoise(0).normal((4, 2)), 1.0), number(1.0)).x0
    close(terms.decoder, -Normal(guess, LinearVP().level(1.0).sigma).log_prob(x0))


@every_chain
def test_the_clean_end_takes_the_next_step_s_deviation(schedule):
    small, large = deviations(schedule, number([0.0, 0.1]), number([0.1, 0.2]))
    close(small[0], small[1])
    close(large[0], schedule.level(0.1).sigma)
    assert bool((small <= large).all())


def test_bits_are_nats_over_log_2_and_entries():
    close(bits_per_dimension(number([6 * math.log(2), 0.0]), 3), number([2.0, 0.0]))
    close(BoundTerms(number([1.0]), number([[2.0], [3.0]]), number([4.0]), 2).total, number([10.0]))


def test_what_is_no_chain_is_refused():
    with pytest.raises(ConfigError, match="starts at the data, but GeometricVE has noise"):
        Chain(GeometricVE(), 10, FixedSmall(), DENSITY)
    with pytest.raises(ConfigError, match="at least 1 step, not 0"):
        Chain(LinearVP(), 0, FixedSmall(), DENSITY)


# Objectives.


class Pair(torch.nn.Module):
    """A small network with a prediction and a variance of its own; everything depends on its weights."""

    def __init__(self, dtype):
        super().__init__()
        self.weights = torch.nn.Parameter(torch.tensor([0.5, 0.1, 0.3, -0.2], dtype=dtype))

    def forward(self, x, level, condition):
        a, b, c, d = self.weights
        return torch.cat([a * x + b * level[:, None], torch.tanh(c * x + d)], 1)


def learned(schedule, dtype=torch.float64):
    return NetworkDenoiser(Pair(dtype), schedule, V(), variance=LearnedRange())


DENSITIES = {"steps": Steps(12), "importance": ImportanceSteps(12, 0.7)}
every_density = pytest.mark.parametrize("density", DENSITIES.values(), ids=DENSITIES)
DECODERS = {"density": DENSITY, "bins": DiscretisedGaussian()}
every_decoder = pytest.mark.parametrize("decoder", DECODERS.values(), ids=DECODERS)


@every_chain
@every_density
@every_decoder
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_the_objective_has_the_mean_of_the_whole_sum(schedule, density, decoder, dtype):
    x0, eps = (0.5 * randn(4, 3)).clamp(-1, 1), randn(4, 3, seed=1)
    denoiser = learned(schedule)
    chain = Chain(schedule, 12, LearnedRange(), decoder)
    truth = sum(bound_terms(denoiser, chain, x0, FixedNoise(eps))) / (3 * math.log(2))
    objective = VariationalBound(density, decoder)
    mean = torch.zeros(4, dtype=dtype)
    for step, share in enumerate(density.probabilities(schedule), start=1):
        t = torch.full((4,), step / 12, dtype=torch.float64)
        mean += share * objective(learned(schedule, dtype), x0.to(dtype), eps.to(dtype), t)
    # In float32 x0 and x̂0 are known to 6e-8, which deviations down to 1e-2 and errors of 1 make 1e-4.
    close(mean.double().detach(), truth.detach(), rtol=1e-10 if dtype == torch.float64 else 3e-4)


@every_density
def test_drawn_steps_estimate_the_bound(density):
    schedule, n = CosineVP(), 6000
    denoiser, objective = learned(schedule), VariationalBound(density, DENSITY)
    x0, eps = randn(1, 3).expand(n, 3), randn(n, 3, seed=1)
    loss = objective(denoiser, x0, eps, density.draw(n, schedule, torch.Generator().manual_seed(0))).detach()
    chain = Chain(schedule, 12, LearnedRange(), DENSITY)
    whole = torch.stack([*bound_terms(denoiser, chain, x0, BlockNoise(3))]).sum(0).detach() / (
        3 * math.log(2)
    )
    # Five standard errors of both means.
    error = 5 * float(loss.var() / n + whole.var() / n) ** 0.5
    assert abs(float(loss.mean() - whole.mean())) < error


@pytest.mark.parametrize("steps", [10, 200])
@every_decoder
@pytest.mark.parametrize("schedule", [LinearVP(), CosineVP(), RectifiedFlow()], ids=["vp", "cosine", "flow"])
def test_importance_makes_the_estimate_steadier(schedule, decoder, steps):
    """The variance of term_i/p_i over steps, data and noise, for the exact denoiser."""
    mixture = power_law_mixture(4)
    x0 = mixture.sample(64, torch.Generator().manual_seed(2)).clamp(-1, 1)
    chain = Chain(schedule, steps, FixedLarge(), decoder)
    terms = torch.stack([*bound_terms(ExactDenoiser(mixture, schedule), chain, x0, BlockNoise(1))][::-1])
    spreads = []
    for density in (Steps(steps), ImportanceSteps(steps, float(x0.std()))):
        shares = density.probabilities(schedule)
        close(shares.sum(), 1.0)
        second = (terms.square().mean(1) / shares).sum()
        spreads.append(float((second - terms.sum(0).mean() ** 2).sqrt()))
    # The longer the chain, the more its terms differ; measured at 200 steps: 0.1 to 0.4.
    assert spreads[1] < (1.0 if steps == 10 else 0.5) * spreads[0]


@every_chain
@every_decoder
@pytest.mark.parametrize("kind", ["bound", "hybrid"])
def test_gradients_are_finite_at_every_step(schedule, decoder, kind):
    times = Steps(12)
    objective = VariationalBound(times, decoder) if kind == "bound" else Hybrid(times, decoder, InNoise())
    for step in (1, 2, 11):
        denoiser = learned(schedule, torch.float32)
        t = torch.full((4,), step / 12, dtype=torch.float64)
        loss = objective(denoiser, (3 * randn(4, 3)).clamp(-1, 1).float(), randn(4, 3, seed=1).float(), t)
        loss.sum().backward()
        gradient = denoiser.network.weights.grad
        assert bool(torch.isfinite(loss).all())
        assert bool(torch.isfinite(gradient).all())
        assert float(gradient[2:].abs().sum()) > 0


def gradients(objective, denoiser, t):
    denoiser.network.zero_grad()
    objective(denoiser, 0.5 * randn(4, 3), randn(4, 3, seed=1), t).sum().backward()
    return denoiser.network.weights.grad.clone()


@every_density
@pytest.mark.parametrize("share", [1e-3, 0.5])
def test_the_hybrid_s_bound_teaches_the_variance_alone(density, share):
    denoiser, t = learned(LinearVP()), number([1, 3, 8, 12]) / 12
    hybrid = gradients(Hybrid(density, DENSITY, InNoise(), share), denoiser, t)
    simple = gradients(DenoisingLoss(InNoise()), denoiser, t)
    bound_alone = gradients(VariationalBound(density, DENSITY), denoiser, t)
    # The prediction's weights learn from the simple loss, the variance's from the bound.
    close(hybrid[:2], simple[:2])
    close(hybrid[2:], share * bound_alone[2:])
    close(simple[2:], torch.zeros(2))
    assert float(bound_alone[:2].abs().min()) > 0


@every_density
def test_the_hybrid_is_both_losses(density):
    denoiser, t = learned(CosineVP()), number([1, 3, 8, 11]) / 12
    x0, eps = 0.5 * randn(4, 3), randn(4, 3, seed=1)
    parts = [DenoisingLoss(InNoise()), VariationalBound(density, DENSITY)]
    simple, whole = (part(denoiser, x0, eps, t).detach() for part in parts)
    close(Hybrid(density, DENSITY, InNoise())(denoiser, x0, eps, t).detach(), simple + 1e-3 * whole)


@pytest.mark.parametrize(
    "build", [VariationalBound, lambda *a: Hybrid(*a, InNoise())], ids=["bound", "hybrid"]
)
def test_times_that_are_no_steps_are_refused(build):
    with pytest.raises(ConfigError, match="training times are Uniform: set times=steps"):
        build(Uniform(), DENSITY)


@pytest.mark.parametrize("share", [0.0, -1.0])
def test_a_hybrid_without_the_bound_is_refused(share):
    with pytest.raises(ConfigError, match="above 0"):
        Hybrid(Steps(), DENSITY, InNoise(), share)


def test_objectives_refuse_what_they_cannot_teach():
    fixed, taught = NetworkDenoiser(lambda x, *_: x, LinearVP(), V()), learned(LinearVP())
    noisy = NetworkDenoiser(lambda x, *_: x, SCHEDULES["geometric_ve"], V(), variance=LearnedRange())
    simple, bound_alone = DenoisingLoss(InNoise()), VariationalBound(Steps(5), DENSITY)
    hybrid = Hybrid(Steps(5), DENSITY, InNoise())
    for objective, denoiser in (
        (simple, fixed),
        (bound_alone, fixed),
        (bound_alone, taught),
        (hybrid, taught),
    ):
        objective.check(denoiser)
    with pytest.raises(ConfigError, match="teaches no variance"):
        simple.check(taught)
    with pytest.raises(ConfigError, match="variance=learned"):
        hybrid.check(fixed)
    for objective in (bound_alone, hybrid):
        with pytest.raises(ConfigError, match="starts at the data"):
            objective.check(noisy)


@pytest.mark.parametrize(
    "objective",
    [DenoisingLoss(InNoise()), VariationalBound(Steps(5), DENSITY), Hybrid(Steps(5), DENSITY, InNoise())],
    ids=lambda objective: type(objective).__name__,
)
def test_every_objective_runs_the_network_once_at_the_noisy_sample(objective):
    seen = []

    def network(x, level, condition):
        seen.append((x, condition))
        return pair(x, level, condition)

    pair, schedule = Pair(torch.float64), LinearVP()
    denoiser = NetworkDenoiser(network, schedule, V(), variance=LearnedRange())
    x0, eps, t = randn(4, 3), randn(4, 3, seed=1), torch.tensor([0.2, 0.4, 0.6, 1.0], dtype=torch.float64)
    condition = Condition.of(label=torch.arange(4))
    assert objective(denoiser, x0, eps, t, condition).shape == (4,)
    [(x_t, shown)] = seen
    close(x_t, corrupt(schedule, x0, eps, t))
    assert shown is condition

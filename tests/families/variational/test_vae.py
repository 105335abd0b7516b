"""The variational autoencoder, on models whose likelihood is known, and as a family."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from sfumato.condition import Condition
from sfumato.errors import ConfigError
from sfumato.families.agreements import Autoencoder, Batch, DataFacts, Generator, Measured
from sfumato.families.variational.bounds import (
    Evidence,
    Importance,
    log_prior_over_posterior,
    unit_divergences,
)
from sfumato.families.variational.importance import log_likelihood_bound
from sfumato.families.variational.likelihoods import FixedGaussian
from sfumato.families.variational.vae import PLAYER, UNUSED, VAE, VariationalAutoencoder
from sfumato.nets.gaussian_codec import GaussianCodec, posterior_of
from sfumato.normal import Normal
from sfumato.randomness import BatchNoise, SeededNoise, generator

LATENT, DATA, STD = 2, 5, 0.4
PICTURES = DataFacts((1, 8, 8), bounds=(-1.0, 1.0))


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=generator(seed, "test"), dtype=torch.float64)


class Affine(nn.Module):
    """x -> W x + b, whatever the condition."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(weight), nn.Parameter(bias)

    def forward(self, x: Tensor, condition: Condition | None) -> Tensor:
        return x @ self.weight.T + self.bias


def loadings() -> Tensor:
    """W of p(x | z) = N(W z + b, STD²): its columns are orthogonal, so that posteriors have independent
    units.
    """
    columns, _ = torch.linalg.qr(randn(DATA, LATENT))
    return columns * torch.tensor([1.3, 0.6])


BIAS = torch.linspace(-0.5, 0.5, DATA, dtype=torch.float64)
EXACT = torch.distributions.MultivariateNormal(
    BIAS, loadings() @ loadings().T + STD**2 * torch.eye(DATA, dtype=torch.float64)
)


def exact_posterior(x: Tensor) -> Normal:
    """p(z | x): precision 1 + w²/STD² for each unit."""
    precision = 1 + loadings().square().sum(0) / STD**2
    return Normal((x - BIAS) @ loadings() / STD**2 / precision, precision.rsqrt().expand(len(x), -1))


def optimal_encoder() -> Affine:
    precision = 1 + loadings().square().sum(0) / STD**2
    to_mean = loadings().T / STD**2 / precision[:, None]
    weight = torch.cat([to_mean, torch.zeros_like(to_mean)])
    return Affine(weight, torch.cat([-to_mean @ BIAS, -0.5 * precision.log()]))


def family(encoder: nn.Module, samples: int = 2 * LATENT) -> VariationalAutoencoder:
    codec = GaussianCodec(encoder, Affine(loadings(), BIAS))
    return VariationalAutoencoder(codec, FixedGaussian(STD), Evidence(), LATENT, samples)


def sigma_points(rows: int) -> dict[str, Tensor]:
    """Draws whose mean of any quadratic is its exact expectation over N(0, 1): ±√L along each axis."""
    axes = math.sqrt(LATENT) * torch.eye(LATENT, dtype=torch.float64)
    return {"eps": torch.cat([axes, -axes]).expand(rows, -1, -1)}


@pytest.mark.parametrize("seed", range(5))
def test_the_bound_lies_below_the_truth_by_the_posterior_s_divergence(seed: int) -> None:
    """log p(x) − bound = KL(q ‖ p(z | x)) for any encoder: expectations are exact, so is this to rounding."""
    encoder = Affine(0.5 * randn(2 * LATENT, DATA, seed=seed), 0.5 * randn(2 * LATENT, seed=seed + 9))
    x, model = randn(50, DATA, seed=99), family(encoder)
    bound = -model.loss(Batch(x, None), sigma_points(len(x)))
    gap = EXACT.log_prob(x) - bound
    torch.testing.assert_close(gap, model.module.posterior(x, None).kl(exact_posterior(x)))
    assert (gap > 0).all()


def test_the_bound_meets_the_truth_at_the_optimum() -> None:
    x = randn(50, DATA)
    bound = -family(optimal_encoder()).loss(Batch(x, None), sigma_points(len(x)))
    torch.testing.assert_close(bound, EXACT.log_prob(x), rtol=1e-10, atol=1e-10)


def test_training_the_encoder_closes_the_gap() -> None:
    """Adam with a falling rate brings an encoder of zeros within 1e-3 nats of the truth, from below."""
    encoder = Affine(torch.zeros(2 * LATENT, DATA).double(), torch.zeros(2 * LATENT).double())
    x, model = EXACT.mean + randn(256, DATA) @ EXACT.scale_tril.T, family(encoder)
    optimiser = torch.optim.Adam(encoder.parameters(), lr=0.05)
    schedule = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.0, 800)
    for _ in range(800):
        optimiser.zero_grad()
        loss = model.loss(Batch(x, None), sigma_points(len(x))).mean()
        loss.backward()
        optimiser.step()
        schedule.step()
    gap = float((EXACT.log_prob(x).mean() + model.loss(Batch(x, None), sigma_points(len(x))).mean()).detach())
    assert 0 <= gap < 1e-3


class DoubleNoise:
    """Noise of one generator in double precision."""

    def __init__(self, seed: int) -> None:
        self._inner = BatchNoise(generator(seed, "noise"))

    def normal(self, shape: tuple[int, ...]) -> Tensor:
        return self._inner.normal(shape).double()


def test_the_importance_weighted_bound_rises_with_k_to_the_truth() -> None:
    """4,000 estimates of each L_K at one x, with an encoder that is off: five standard errors decide."""
    encoder = optimal_encoder()
    with torch.no_grad():
        encoder.bias.add_(torch.tensor([0.3, -0.6, 0.4, 0.5]))
    model, x = family(encoder), EXACT.mean + randn(1, DATA)
    truth = float(EXACT.log_prob(x))
    means, errors = [], []
    for samples in (1, 8, 64):
        found = log_likelihood_bound(model, x.expand(4000, -1), samples, DoubleNoise(samples), rows=64_000)
        means.append(float(found.mean()))
        errors.append(5 * float(found.std()) / 4000**0.5)
    for place in range(2):
        assert means[place] + errors[place] < means[place + 1] - errors[place + 1]
    assert all(mean - error < truth for mean, error in zip(means, errors, strict=True))
    # L_K falls short by about half the weights' relative variance over K: under 0.02 nats at K = 64 here.
    assert means[-1] == pytest.approx(truth, abs=0.02)


def test_with_the_exact_posterior_one_sample_is_enough() -> None:
    """All weights are p(x) itself, so that any number of draws gives it without spread."""
    x = randn(7, DATA)
    for samples in (1, 3):
        found = log_likelihood_bound(family(optimal_encoder()), x, samples, DoubleNoise(1))
        torch.testing.assert_close(found, EXACT.log_prob(x), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("rows", [1, 4, 6, 1000])
def test_the_bound_is_the_log_of_the_mean_weight_however_it_is_cut(rows: int) -> None:
    class Counting:
        """The k-th draw of example x weighs k·exp(x)."""

        def __init__(self) -> None:
            self.drawn = 0

        def log_weight(self, x: Tensor, noise: object, condition: Condition | None = None) -> Tensor:
            assert condition is not None
            assert torch.equal(condition.values["label"].double(), x)
            k = self.drawn + 1 + torch.arange(len(x)) // 2
            self.drawn += len(x) // 2
            return k.double().log() + x

    x = torch.tensor([0.0, 3.0]).double()
    condition = Condition.of(label=x.long())
    found = log_likelihood_bound(Counting(), x, 9, DoubleNoise(0), condition, rows)
    torch.testing.assert_close(found, math.log(5) + x)
    with pytest.raises(ConfigError, match="at least 1 sample"):
        log_likelihood_bound(Counting(), x, 0, DoubleNoise(0))


def test_both_bounds_have_one_mean_at_one_sample() -> None:
    """The sampled divergence's expectation, exact by sigma points, is the closed form."""
    q = Normal(randn(6, LATENT), randn(6, LATENT, seed=1).exp())
    eps = sigma_points(6)["eps"]
    torch.testing.assert_close(log_prior_over_posterior(q, eps).mean(1), -unit_divergences(q).sum(1))
    log_p = torch.zeros(6, 1).double()
    singles = [Importance()(log_p, q, draw[:, None], 1.0) for draw in eps.unbind(1)]
    torch.testing.assert_close(torch.stack(singles).mean(0), Evidence()(log_p, q, eps, 1.0))


def test_the_importance_loss_is_minus_the_log_of_the_mean_weight() -> None:
    x, eps = randn(6, DATA), randn(6, 8, LATENT, seed=2)
    encoder = Affine(0.5 * randn(2 * LATENT, DATA), torch.zeros(2 * LATENT).double())
    model = replace(family(encoder, samples=8), bound=Importance())
    q = model.module.posterior(x, None)
    joint = [
        Normal(z @ loadings().T + BIAS, torch.tensor(STD).double()).log_prob(x)
        + Normal(torch.zeros_like(z), torch.ones_like(z)).log_prob(z)
        - q.log_prob(z)
        for z in (q.sample(draw) for draw in eps.unbind(1))
    ]
    expected = math.log(8) - torch.stack(joint).logsumexp(0)
    torch.testing.assert_close(model.loss(Batch(x, None), {"eps": eps}), expected)


def test_free_bits_cost_nothing_and_pull_nothing_below_the_floor() -> None:
    statistics = torch.tensor([[0.1, 2.0, 0.0, -1.0]], dtype=torch.float64, requires_grad=True)
    q, nothing = posterior_of(statistics), torch.zeros(1, 1).double()
    below, above = unit_divergences(q)[0].tolist()
    assert below < 0.5 < above
    value = -Evidence(0.5)(nothing, q, nothing, 1.0)
    assert float(value.detach()) == pytest.approx(0.5 + above)
    (gradient,) = torch.autograd.grad(value.sum(), statistics)
    (plain,) = torch.autograd.grad(unit_divergences(posterior_of(statistics)).sum(), statistics)
    assert not gradient[0, [0, 2]].any()
    assert torch.equal(gradient[0, [1, 3]], plain[0, [1, 3]])
    assert plain[0, 0] != 0


def test_the_weight_of_the_divergence_follows_the_progress() -> None:
    model = replace(family(optimal_encoder()), beta=3.0, warmup=0.25)
    x, draws = randn(4, DATA), sigma_points(4)
    free = model.loss(Batch(x, None, progress=0.0), draws)
    divergence = unit_divergences(model.module.posterior(x, None)).sum(1)
    for progress, weight in ((0.05, 0.6), (0.25, 3.0), (0.5, 3.0), (1.0, 3.0)):
        loss = model.loss(Batch(x, None, progress=progress), draws)
        torch.testing.assert_close(loss, free + weight * divergence)


def test_measures_tell_the_two_terms_and_the_units_that_say_nothing() -> None:
    encoder = optimal_encoder()
    with torch.no_grad():
        encoder.weight[1].zero_()
        encoder.bias[[1, 3]] = 0.0  # the second unit's posterior is the prior
    model, x, draws = family(encoder), randn(64, DATA), sigma_points(64)
    found = model.measures(Batch(x, None), draws)
    assert found["unused units (share)"] == 0.5
    each = model.divergence_of_units(x)
    assert each[1] == 0 < UNUSED < each[0]
    assert found["KL (nats)"] == pytest.approx(float(each.sum().detach()))
    loss = float(model.loss(Batch(x, None), draws).mean().detach())
    assert found["reconstruction (nats)"] + found["KL (nats)"] == pytest.approx(loss)


def untrained(facts: DataFacts, **options: object) -> VariationalAutoencoder:
    """Build one whose weights are all random, so that nothing is zero as it is before training."""
    model = VAE(**{"latent": 6, "width": 16, **options}).build(facts)  # type: ignore[arg-type]
    for parameter in model.module.parameters():
        nn.init.normal_(parameter, std=0.1, generator=generator(0, "opened"))
    return model


@pytest.mark.parametrize(
    ("shape", "decoder"),
    [((1, 8, 8), "bernoulli"), ((3, 13, 9), "logistic"), ((1, 28, 28), "gaussian"), ((5,), "gaussian")],
)
def test_codes_pictures_and_samples_have_their_shapes(shape: tuple[int, ...], decoder: str) -> None:
    model = untrained(DataFacts(shape, bounds=(-1.0, 1.0) if len(shape) == 3 else None), decoder=decoder)
    assert isinstance(model, Autoencoder)
    assert isinstance(model, Generator)
    assert isinstance(model, Measured)
    x = torch.rand(3, *shape, generator=generator(0, "x")) * 2 - 1
    z = model.encode(x, None)
    assert z.shape == (3, *model.latent_shape)
    assert model.decode(z, None).shape == x.shape
    batch, draws = Batch(x, None), model.draw(3, shape, generator(0, "draws"))
    loss = model.loss(batch, draws)
    assert loss.shape == (3,)
    one = model.loss(Batch(x[1:2], None), {name: value[1:2] for name, value in draws.items()})
    torch.testing.assert_close(one, loss[1:2], rtol=1e-4, atol=1e-3)
    first, last = model.frames((3, *shape), SeededNoise([4, 5, 6]), None, None)
    assert (first.index, last.index, last.steps) == (0, 1, 1)
    *_, alone = model.frames((1, *shape), SeededNoise([5]), None, None)
    torch.testing.assert_close(alone.state, last.state[1:2], rtol=1e-4, atol=1e-5)
    assert not torch.allclose(last.state[0], last.state[1], atol=1e-4)


@pytest.mark.parametrize("facts", [PICTURES, DataFacts((5,))])
def test_a_fresh_encoder_says_nothing_and_is_told_at_once_what_to_say(facts: DataFacts) -> None:
    """Before training every posterior is the prior, so that the divergence starts at exactly 0.

    Were the decoder at zero too, no gradient would reach the encoder: a saddle.
    """
    model = VAE(latent=6, width=16).build(facts)
    x = torch.rand(2, *facts.shape, generator=generator(0, "x"))
    assert not model.divergence_of_units(x).any()
    model.loss(Batch(x, None), model.draw(2, facts.shape, generator(0, "draws"))).sum().backward()
    assert float(model.module.encoder.head.weight.grad.norm()) > 1e-3  # type: ignore[union-attr]


def test_a_label_is_heard_if_it_is_to_be_and_unless_it_is_dropped() -> None:
    facts = replace(PICTURES, classes=3)
    x, z = torch.zeros(2, 1, 8, 8), torch.zeros(2, 6)
    some, other = Condition.of(label=torch.tensor([0, 1])), Condition.of(label=torch.tensor([1, 2]))
    deaf, told = untrained(facts), untrained(facts, conditional=True)
    assert (deaf.classes, told.classes) == (0, 3)
    assert torch.equal(deaf.decode(z, some), deaf.decode(z, None))
    for run, given in ((told.decode, z), (told.encode, x)):
        assert not torch.allclose(run(given, some), run(given, other), atol=1e-5)
        assert torch.equal(run(given, some.drop_all()), run(given, None))
    draws = told.draw(2, (1, 8, 8), generator(0, "draws"))
    hidden, shown = ({**draws, "dropped": torch.tensor([drop, drop])} for drop in (True, False))
    assert torch.equal(told.loss(Batch(x, some), hidden), told.loss(Batch(x, other), hidden))
    assert not torch.equal(told.loss(Batch(x, some), shown), told.loss(Batch(x, other), shown))
    twice = told.draw(2, (1, 8, 8), generator(0, "draws"))
    assert all(torch.equal(twice[name], draws[name]) for name in draws)


def test_several_draws_stay_with_their_example_and_its_label() -> None:
    """Each row alone has the loss it has among others, though all draws pass the decoder in one batch."""
    model = untrained(replace(PICTURES, classes=3), conditional=True, samples=3)
    x, condition = torch.rand(3, 1, 8, 8, generator=generator(0, "x")), Condition.of(label=torch.arange(3))
    draws = model.draw(3, (1, 8, 8), generator(1, "draws"))
    together = model.loss(Batch(x, condition), draws)
    for row in range(3):
        mine = slice(row, row + 1)
        alone = model.loss(Batch(x[mine], condition[mine]), {name: v[mine] for name, v in draws.items()})
        torch.testing.assert_close(alone, together[mine], rtol=1e-4, atol=1e-3)


def test_other_networks_take_the_player_s_place() -> None:
    model, other = untrained(PICTURES), VAE(latent=6, width=16).build(PICTURES)
    x = torch.rand(2, 1, 8, 8, generator=generator(0, "x"))
    moved = model.with_modules({PLAYER: other.module})
    assert torch.equal(moved.decode(moved.encode(x, None), None), other.decode(other.encode(x, None), None))
    assert model.with_modules({}).module is model.module


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"latent": 0}, "latent must be at least 1"),
        ({"samples": 0}, "samples must be at least 1"),
        ({"warmup": 1.5}, "share of training"),
        ({"beta": -1.0}, "at least 0"),
        ({"free_bits": 0.1, "samples": 5}, "one sample"),
        ({"decoder": "poisson"}, "Unknown decoder 'poisson'"),
        ({"decoder": "bernoulli", "std": 0.1}, "no option std"),
        ({"conditional": True}, "no labels"),
    ],
)
def test_a_design_that_makes_no_sense_is_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        VAE(**options).build(PICTURES)  # type: ignore[arg-type]


def test_a_bernoulli_decoder_of_colour_is_refused() -> None:
    with pytest.raises(ConfigError, match="Bernoulli decoder is for black and white"):
        VAE(decoder="bernoulli").build(DataFacts((3, 8, 8), bounds=(-1.0, 1.0)))

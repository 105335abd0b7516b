"""Hierarchies of latents: their bounds hold and are met, and their codes mean what they say."""

import math
from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor, nn

from sfumato.condition import Condition
from sfumato.errors import ConfigError
from sfumato.families.agreements import Autoencoder, Batch, DataFacts, Generator, Measured
from sfumato.families.hierarchies.hierarchical import EqualVAE, PairsVAE, SharedVAE
from sfumato.families.hierarchies.hierarchy import Hierarchy
from sfumato.families.hierarchies.ladder import LadderVAE
from sfumato.families.variational.importance import log_likelihood_bound
from sfumato.families.variational.likelihoods import FixedGaussian
from sfumato.nets.chain import Chain
from sfumato.nets.levels import normal_of, standard
from sfumato.normal import Normal
from sfumato.randomness import SeededNoise
from sfumato.verify.oracle import BlockNoise, rand, randn

POINTS, DIGITS = DataFacts((2,)), DataFacts((1, 8, 8), 10, (-1.0, 1.0))
ODD = DataFacts((3, 9, 11), 0, (-1.0, 1.0))
OF_POINTS = {
    "pairs": PairsVAE(sizes=(2, 1), width=8),
    "equal": EqualVAE(levels=2, width=4),
    "shared": SharedVAE(levels=2, width=4),
    "ladder": LadderVAE(groups=(1, 1), latents=(1, 2), widths=(8, 8)),
}
OF_PICTURES = {
    "pairs": PairsVAE(sizes=(6, 4), width=8),
    "equal": EqualVAE(levels=2, width=8),
    "shared": SharedVAE(levels=3, width=8),
    "ladder": LadderVAE(groups=(1, 1, 2), latents=(6, 2, 1), widths=(16, 8, 8)),
}
every_design = pytest.mark.parametrize("design", OF_POINTS.values(), ids=OF_POINTS)
every_picture_design = pytest.mark.parametrize("design", OF_PICTURES.values(), ids=OF_PICTURES)


def built(design, facts, shake=0.3) -> Hierarchy:
    """Build a family in float64 whose weights are moved, so that nothing is at its zero any more."""
    with torch.random.fork_rng():
        torch.random.set_rng_state(torch.Generator().manual_seed(3).get_state())
        family = design.build(facts)
    generator = torch.Generator().manual_seed(4)
    family.module.double()
    for weight in family.module.parameters():
        weight.data += shake * torch.randn(weight.shape, generator=generator) / weight.shape[-1] ** 0.5
    return family


def draws_of(family, rows, facts, seed=0):
    draws = family.draw(rows, facts.shape, torch.Generator().manual_seed(seed))
    return {name: value.double() if value.is_floating_point() else value for name, value in draws.items()}


# Bounds.


@dataclass(frozen=True)
class Line:
    """One entry's z_{k−1} = slope·z_k + spread·noise, and what it makes of the variance above."""

    slope: Tensor
    spread: Tensor

    def below(self, variance: Tensor) -> Tensor:
        return self.slope.square() * variance + self.spread.square()


class LinearPairs(nn.Module):
    """Decoders that are lines, and encoders that undo them exactly, or are off by a little.

    lines: the finest first, each of (D,); off: added to the encoders' means and log deviations.
    """

    def __init__(self, lines: list[Line], off: float) -> None:
        super().__init__()
        self.lines, self.off = lines, off
        variances = [torch.ones_like(lines[0].slope)]
        for line in reversed(lines):
            variances.append(line.below(variances[-1]))
        self.variances = variances[::-1]

    def encode(self, k: int, z: Tensor, condition: Condition | None) -> Tensor:
        """Bayes' rule for one line: the latent's variance above is known."""
        line, variance, above = self.lines[k - 1], self.variances[k - 1], self.variances[k]
        mean = line.slope * above / variance * z
        std = (above * line.spread.square() / variance).sqrt().expand_as(mean)
        return raw(Normal(mean + self.off, std * math.exp(self.off)))

    def decode(self, k: int, z: Tensor, condition: Condition | None) -> Tensor:
        line = self.lines[k - 1]
        return raw(Normal(line.slope * z, line.spread.expand_as(z)))


def raw(normal: Normal) -> Tensor:
    """Undo `normal_of`, of which this is the inverse in one line."""
    found = torch.cat([normal.mean, 5 * torch.atanh(normal.std.log() / 5)], 1)
    torch.testing.assert_close(normal_of(found).std, normal.std)
    return found


def linear(levels: int, off: float) -> tuple[Hierarchy, Tensor]:
    """Return a linear chain of three entries, and the standard deviation of its x."""
    lines = [Line(randn(3, seed=k), 0.3 + 0.5 * rand(3, seed=k)) for k in range(levels)]
    lines[0] = Line(lines[0].slope, torch.full((3,), 0.4, dtype=torch.float64))
    pairs = LinearPairs(lines, off)
    module = Chain(pairs, ((3,),) * levels, outputs=3)
    return Hierarchy(module, FixedGaussian(0.4)), pairs.variances[0].sqrt()


@pytest.mark.parametrize("levels", [1, 2, 4])
def test_the_right_encoders_meet_the_likelihood(levels):
    family, std = linear(levels, off=0.0)
    x = randn(500, 3, seed=9) * std
    truth = Normal(torch.zeros_like(x), std.expand_as(x)).log_prob(x)
    # Where q is the posterior, every single weight is p(x); rounding alone parts them.
    torch.testing.assert_close(family.log_weight(x, BlockNoise(1)), truth, rtol=1e-9, atol=1e-9)
    many = x.repeat(40, 1)
    bound = -family.loss(Batch(many, None), draws_of(family, len(many), DataFacts((3,))))
    gap = (bound - truth.repeat(40)).mean()
    # The mean of 20,000 draws has an error of about 0.01; the divergences are exact on top alone.
    assert abs(float(gap)) < 0.05


@pytest.mark.parametrize("levels", [1, 2, 4])
@pytest.mark.parametrize("off", [-0.3, 0.1])
def test_the_bound_never_exceeds_the_likelihood(levels, off):
    family, std = linear(levels, off)
    x = (randn(50, 3, seed=9) * std).repeat(400, 1)
    truth = Normal(torch.zeros_like(x), std.expand_as(x)).log_prob(x)
    for found in (
        family.log_weight(x, BlockNoise(1)),
        -family.loss(Batch(x, None), draws_of(family, len(x), DataFacts((3,)))),
    ):
        gap = truth - found
        # Below by many standard errors, and not by chance: these encoders are wrong.
        assert float(gap.mean()) > 5 * float(gap.std()) / len(x) ** 0.5


@every_design
def test_weights_have_the_likelihood_as_their_mean(design):
    """Draws of q weighed, and draws of the prior decoded, are two estimates of one p(x)."""
    family, x, n = built(design, POINTS), 0.5 * randn(1, 2, seed=2), 40_000
    with torch.no_grad():
        weights = family.log_weight(x.expand(n, 2), BlockNoise(1)).exp()
        codes = tuple(BlockNoise(2 + i).normal((n, *size)) for i, size in enumerate(family.module.sizes))
        output = family.module.generate(codes, None)
        decoded = family.likelihood.log_prob(output, x.expand(n, 2)).exp()
    error = (float(weights.var() + decoded.var()) / n) ** 0.5
    assert abs(float(weights.mean() - decoded.mean())) < 5 * error
    # The estimates are sharp enough to mean something.
    assert error < 0.05 * float(decoded.mean())


@every_design
def test_loss_and_weights_agree_and_more_samples_raise_the_bound(design):
    family = built(design, POINTS)
    x = (0.5 * randn(10, 2, seed=2)).repeat(1000, 1)
    with torch.no_grad():
        gap = family.log_weight(x, BlockNoise(1)) + family.loss(
            Batch(x, None), draws_of(family, len(x), POINTS)
        )
        assert abs(float(gap.mean())) < 5 * float(gap.std()) / len(x) ** 0.5
        few = log_likelihood_bound(family, x[:10], 1000, BlockNoise(3)).mean()
        one = family.log_weight(x, BlockNoise(1)).mean()
    assert float(few) > float(one)


def test_one_level_is_a_variational_autoencoder():
    family = built(PairsVAE(sizes=(5,), width=8), DIGITS)
    x, pairs = randn(4, 1, 8, 8), family.module.pairs
    draws = draws_of(family, 4, DIGITS)
    posterior = normal_of(pairs.encoders[0].network(x, None))
    z = posterior.mean + posterior.std * draws["eps0"]
    log_prob = family.likelihood.log_prob(pairs.decoders[0].network(z, None), x)
    formula = -log_prob + posterior.kl(standard(z))
    torch.testing.assert_close(family.loss(Batch(x, None), draws), formula)
    assert float(posterior.kl(standard(z)).detach().min()) > 0.01


# What starts where.


@pytest.mark.parametrize("facts", [POINTS, DIGITS, ODD], ids=["points", "digits", "odd"])
def test_an_untrained_ladder_s_posterior_is_its_prior(facts):
    family = LadderVAE(groups=(2, 1), latents=(4, 2), widths=(16, 8)).build(facts)
    _, levels = family.module(randn(3, *facts.shape).float(), noises_of(family, 3), None)
    assert len(levels) == 3
    for level in levels:
        assert torch.equal(level.nats, torch.zeros(3))
        assert torch.equal(level.log_ratio, torch.zeros(3))


def noises_of(family, rows, seed=0):
    return tuple(randn(rows, *size, seed=seed + i).float() for i, size in enumerate(family.module.sizes))


@pytest.mark.parametrize("facts", [POINTS, DIGITS, ODD], ids=["points", "digits", "odd"])
@pytest.mark.parametrize("kind", [EqualVAE, SharedVAE])
def test_an_untrained_chain_of_the_data_s_size_models_unit_noise(facts, kind):
    family, x = kind(levels=3, width=8).build(facts), randn(5, *facts.shape).float()
    truth = standard(x).log_prob(x)
    # The gaussian decoder's width is off by 0.001 from the levels', whose logarithms are bounded softly.
    torch.testing.assert_close(family.log_weight(x, BlockNoise(1)), truth, rtol=1e-3, atol=2e-3)


# Shared and own pairs.


def weights_of(design):
    return sum(weight.numel() for weight in design.build(DIGITS).module.parameters())


def test_one_pair_serves_all_levels_and_is_told_which():
    assert weights_of(SharedVAE(levels=2, width=8)) == weights_of(SharedVAE(levels=6, width=8))
    assert weights_of(EqualVAE(levels=6, width=8)) == pytest.approx(
        3 * weights_of(EqualVAE(levels=2, width=8)), rel=0.01
    )
    family, z = built(SharedVAE(levels=3, width=8), DIGITS), randn(2, 1, 8, 8)
    pair = family.module.pairs
    for ask in (pair.encode, pair.decode):
        assert not torch.allclose(ask(1, z, None), ask(2, z, None))
    torch.testing.assert_close(
        pair.encode(2, z, None), pair.encoder(z, torch.full((2,), 2 / 3, dtype=torch.float64), None)
    )


@every_picture_design
def test_every_level_is_used_and_every_weight_learns(design):
    family = built(design, DIGITS)
    x = randn(4, 1, 8, 8)
    family.loss(Batch(x, None), draws_of(family, 4, DIGITS)).sum().backward()
    for name, weight in family.module.named_parameters():
        unused = weight.grad is None or not bool(weight.grad.any())
        # Without labels, a label's embedding has "none" alone, which every part may ignore but the top.
        assert not unused or "label" in name, name


# Codes.


@every_picture_design
@pytest.mark.parametrize("facts", [DIGITS, ODD], ids=["digits", "odd"])
def test_codes_begin_with_the_coarsest_and_are_kept(design, facts):
    family = built(design, facts)
    x, levels = randn(3, *facts.shape), len(family.module.sizes)
    seeds = SeededNoise((5, 6, 7))
    reconstruction = family.decode(family.encode(x))
    torch.testing.assert_close(family.keeping(x, levels, seeds), reconstruction)
    assert family.encode(x).shape == (3, *family.latent_shape)
    assert reconstruction.shape == x.shape
    sample = list(family.frames(x.shape, SeededNoise((5, 6, 7)), None))[-1].state
    torch.testing.assert_close(family.keeping(x, 0, SeededNoise((5, 6, 7))), sample)
    code = family.encode(family.keeping(x, 0, SeededNoise((5, 6, 7))))
    assert not torch.allclose(code, family.encode(x))
    # Between the two: x still matters, and so does the noise.
    part = family.keeping(x, 1, SeededNoise((5, 6, 7)))
    assert not torch.allclose(part, sample)
    assert not torch.allclose(part, family.keeping(x, 1, SeededNoise((8, 9, 10))))
    assert not torch.allclose(part, reconstruction)


@every_picture_design
def test_frames_add_level_after_level(design):
    family = built(design, DIGITS)
    moments = list(family.frames((2, 1, 8, 8), SeededNoise((1, 2)), None))
    levels = len(family.module.sizes)
    assert [(m.index, m.steps) for m in moments] == [(k, levels) for k in range(levels + 1)]
    code = SeededNoise((1, 2)).normal((2, *family.latent_shape)).double()
    torch.testing.assert_close(moments[-1].state, family.decode(code))
    torch.testing.assert_close(moments[0].guess, family.decode(torch.zeros_like(code)))
    code[:, math.prod(family.module.sizes[0]) :] = 0
    torch.testing.assert_close(moments[1].state, family.decode(code))
    assert not torch.allclose(moments[0].state, moments[1].state)


@every_picture_design
def test_a_picture_is_the_same_alone_and_in_a_batch(design):
    family = built(design, DIGITS)
    together = list(family.frames((3, 1, 8, 8), SeededNoise((1, 2, 3)), None))[-1].state
    alone = list(family.frames((1, 1, 8, 8), SeededNoise((2,)), None))[-1].state
    torch.testing.assert_close(together[1:2], alone, rtol=1e-9, atol=1e-9)


def test_what_a_posterior_s_mean_codes_is_where_its_latent_is():
    """The code of the k-th level is (z − mean)/std of its prior given the levels above."""
    family, x = built(PairsVAE(sizes=(4, 2), width=8), DIGITS), randn(3, 1, 8, 8)
    pairs = family.module.pairs
    z_1 = normal_of(pairs.encode(1, x, None)).mean
    z_2 = normal_of(pairs.encode(2, z_1, None)).mean
    prior = normal_of(pairs.decode(2, z_2, None))
    truth = torch.cat([z_2, (z_1 - prior.mean) / prior.std], 1)
    torch.testing.assert_close(family.encode(x), truth)


# Training.


def test_divergences_gain_their_weight_during_the_warm_up():
    family = built(LadderVAE(groups=(1, 1), latents=(3, 2), widths=(8, 8), warmup=0.4), DIGITS)
    x, draws = randn(4, 1, 8, 8), draws_of(family, 4, DIGITS)
    start, half, end, after = (family.loss(Batch(x, None, p), draws) for p in (0.0, 0.2, 0.4, 1.0))
    torch.testing.assert_close(half, (start + end) / 2)
    assert torch.equal(end, after)
    measured = family.measures(Batch(x, None), draws)
    assert measured["reconstruction (nats)"] == pytest.approx(float(start.detach().mean()))
    assert measured["bound (nats)"] == pytest.approx(float(after.detach().mean()))
    by_level = sum(measured[f"KL of level {k} (nats)"] for k in (1, 2))
    assert (
        measured["KL (nats)"]
        == pytest.approx(by_level)
        == pytest.approx(float((end - start).detach().mean()))
    )


@every_picture_design
def test_labels_are_told_where_asked(design):
    with pytest.raises(ConfigError, match="no labels"):
        replace(design, conditional=True).build(ODD)
    noise, one = SeededNoise((1, 2)).normal, Condition.of(label=torch.tensor([1, 1]))
    for conditional in (True, False):
        family = built(replace(design, conditional=conditional), DIGITS)
        z = noise((2, *family.latent_shape)).double()
        same = torch.allclose(family.decode(z, one), family.decode(z, one.drop_all()))
        assert same is not conditional
        assert family.classes == (10 if conditional else 0)


@every_picture_design
def test_the_agreements_are_kept(design):
    family = design.build(DIGITS)
    for agreement in (Generator, Autoencoder, Measured):
        assert isinstance(family, agreement)
    other = design.build(DIGITS)
    assert family.with_modules({"autoencoder": other.module}).module is other.module
    assert family.with_modules({}).module is family.module


@pytest.mark.parametrize("design", [OF_PICTURES["pairs"], OF_PICTURES["ladder"]], ids=["pairs", "ladder"])
def test_a_compiled_module_takes_the_module_s_place(design):
    family, x = built(design, DIGITS, shake=0.1), randn(2, 1, 8, 8)
    compiled = family.with_modules({"autoencoder": torch.compile(family.module, backend="eager")})
    draws = draws_of(family, 2, DIGITS)
    torch.testing.assert_close(
        compiled.loss(Batch(x, None), draws), family.loss(Batch(x, None), draws), rtol=1e-9, atol=1e-9
    )
    torch.testing.assert_close(compiled.decode(compiled.encode(x)), family.decode(family.encode(x)))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: LadderVAE(groups=(1, 2), latents=(3,)), "one number above 0 for each scale"),
        (lambda: LadderVAE(groups=(1, 0)), "one number above 0 for each scale"),
        (lambda: LadderVAE(warmup=1.5), "0 to 1, not 1.5"),
        (lambda: PairsVAE(sizes=()), "at least one level"),
        (lambda: PairsVAE(sizes=(3, 0)), "sizes must be at least 1, not 0"),
        (lambda: SharedVAE(levels=0), "levels must be at least 1, not 0"),
        (lambda: LadderVAE(decoder="bernoulli").build(ODD), "black and white"),
        (
            lambda: LadderVAE(groups=(1,) * 5, latents=(1,) * 5, widths=(8,) * 5).build(DIGITS),
            "8×8 have no 5 scales",
        ),
        (lambda: built(OF_PICTURES["ladder"], DIGITS).keeping(randn(1, 1, 8, 8), 9, None), "4 levels"),
    ],
)
def test_what_cannot_be_is_refused(build, message):
    with pytest.raises(ConfigError, match=message):
        build()

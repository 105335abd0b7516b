"""Models of tokens: exact where they say so, and sampled as they say."""

import itertools
import math
from collections import deque
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sfumato.condition import Condition
from sfumato.errors import ConfigError
from sfumato.families.agreements import UNKNOWN, Batch, DataFacts, Moment, TokenFacts
from sfumato.families.autoregressive.autoregressive import Autoregressive
from sfumato.families.autoregressive.next_number import NextNumber
from sfumato.families.autoregressive.next_pixel import NextPixel, NextPixelByConvolution
from sfumato.families.autoregressive.next_token import NextScale, NextToken
from sfumato.nets.conditions import Labels, Picture
from sfumato.randomness import SeededNoise, generator

SIZE: dict[str, Any] = {"width": 16, "layers": 2}
BLACK_AND_WHITE = DataFacts((1, 3, 3), bounds=(-1.0, 1.0))
MAPS = ((1, 1), (2, 2), (3, 3))
LABELLED = {"told": {"label": Labels(3)}, "drop": 0.1}
PIXELS = DataFacts((3, 4, 3), bounds=(-1.0, 1.0), **LABELLED)
ONE_MAP = DataFacts((9,), tokens=TokenFacts(7, MAPS[-1:]), **LABELLED)
SEVERAL = DataFacts((14,), tokens=TokenFacts(7, MAPS), **LABELLED)
VECTORS = DataFacts((6,), **LABELLED)
MODELS = {
    "next number": (NextNumber(levels=4, **SIZE), VECTORS),
    "next pixel": (NextPixel(levels=4, **SIZE), PIXELS),
    "next pixel by convolutions": (NextPixelByConvolution(levels=4, **SIZE), PIXELS),
    "next token": (NextToken(**SIZE), ONE_MAP),
    "next scale": (NextScale(**SIZE), SEVERAL),
}
every_model = pytest.mark.parametrize("name", MODELS)


def disturbed(model: Autoregressive, seed: int = 0) -> Autoregressive:
    """Give a model weights in which nothing is 0, as it is before training."""
    randomness = torch.Generator().manual_seed(seed)
    for parameter in model.players()[0].module.parameters():
        nn.init.normal_(parameter, std=0.3, generator=randomness)
    return model


def made(name: str) -> tuple[Autoregressive, DataFacts]:
    design, facts = MODELS[name]
    return disturbed(design.build(facts)), facts


def told(*labels: int) -> Condition:
    return Condition.of(label=torch.tensor(labels))


def last(
    model: Autoregressive, facts: DataFacts, seeds: range, condition: Condition | None, **given: Any
) -> Tensor:
    """Return what is made from seeds."""
    options = model.options(given)
    with torch.no_grad():
        moments = model.frames((len(seeds), *facts.shape), SeededNoise(seeds), condition, options)
        (moment,) = deque(moments, maxlen=1)
    return moment.state


@pytest.mark.parametrize("design", [NextPixel(levels=2, **SIZE), NextPixelByConvolution(levels=2, **SIZE)])
def test_the_probabilities_of_all_pictures_sum_to_one(design: NextPixel) -> None:
    model = disturbed(design.build(BLACK_AND_WHITE))
    everything = torch.tensor(list(itertools.product([-1.0, 1.0], repeat=9))).view(-1, 1, 3, 3)
    with torch.no_grad():
        total = model.log_prob(everything, None).exp().sum()
    assert float(total) == pytest.approx(1, abs=1e-6)


def test_samples_are_as_frequent_as_the_model_says() -> None:
    model = disturbed(NextPixel(levels=2, **SIZE).build(DataFacts((1, 2, 2), bounds=(-1.0, 1.0))))
    everything = torch.tensor(list(itertools.product([-1.0, 1.0], repeat=4))).view(-1, 1, 2, 2)
    n = 4000
    samples = last(model, DataFacts((1, 2, 2)), range(n), None)
    with torch.no_grad():
        p = model.log_prob(everything, None).exp()
    counts = (samples[:, None] == everything[None]).flatten(2).all(2).sum(0)
    # Pearson's statistic of 16 cells has mean 15 and deviation 5.5: 45 is 1 in 10,000.
    assert float(((counts - n * p).square() / (n * p)).sum()) < 45


@every_model
def test_a_picture_is_the_same_whether_what_was_worked_out_is_kept_or_not(name: str) -> None:
    model, facts = made(name)
    seeds, condition = range(6), told(0, 1, 2, 0, 1, 2)

    class Anew(nn.Module):
        """The network, asked for everything again each time."""

        def __init__(self) -> None:
            super().__init__()
            self.inner = model.players()[0].module

        def reading(self, rows: int, said: Condition | None) -> Any:
            return lambda tokens, places: self.inner(tokens, said)[:, places]

    anew = replace(model, module=Anew())  # type: ignore[arg-type]
    for given in ({}, {"guidance": 2.0}, {"temperature": 0.5, "top_k": 3, "top_p": 0.9}):
        kept = last(model, facts, seeds, condition, **given)
        assert torch.equal(kept, last(anew, facts, seeds, condition, **given))


@every_model
def test_a_picture_is_the_same_alone_and_in_a_batch(name: str) -> None:
    model, facts = made(name)
    whole = last(model, facts, range(10, 14), told(0, 1, 2, 0))
    assert torch.equal(last(model, facts, range(12, 13), told(2))[0], whole[2])


@every_model
def test_guidance_off_is_the_conditional_model_and_dropping_all_the_unconditional_one(name: str) -> None:
    model, facts = made(name)
    seeds, condition = range(4), told(0, 1, 2, 0)
    plain = last(model, facts, seeds, condition)
    assert torch.equal(last(model, facts, seeds, condition, guidance=1.0), plain)
    untold = last(model, facts, seeds, condition.drop_all())
    assert torch.equal(untold, last(model, facts, seeds, None))
    assert torch.equal(untold, last(model, facts, seeds, condition, guidance=0.0))
    assert not torch.equal(untold, plain)


@every_model
def test_the_loss_is_the_mean_of_log_prob_over_tokens(name: str) -> None:
    model, facts = made(name)
    x, condition = last(model, facts, range(5), told(0, 1, 2, 0, 1)), told(0, 1, 2, 0, 1)
    draws = {"dropped": torch.zeros(5, dtype=torch.bool)}
    count = sum(model.order.sizes)
    with torch.no_grad():
        loss = model.loss(Batch(x, condition), draws)
        assert torch.allclose(loss.double(), -model.log_prob(x, condition) / count, atol=1e-5)
        bits = model.measures(Batch(x, condition), draws)[model.letters.unit]
    assert bits == pytest.approx(float(loss.mean()) / math.log(2), rel=1e-4)


def model_tokens(model: Autoregressive, moment: Moment) -> Tensor:
    """Return the tokens of a moment's state, `UNKNOWN` where one is grey, which is no level of four."""
    if not moment.state.is_floating_point():
        return moment.state
    by_place = moment.state.permute(0, 2, 3, 1).flatten(1) if moment.state.ndim == 4 else moment.state
    return model.letters.read(moment.state).masked_fill(by_place == 0, UNKNOWN)


@every_model
def test_moments_show_more_and_more_and_count_passes(name: str) -> None:
    model, facts = made(name)
    options = model.options({})
    with torch.no_grad():
        moments: list[Moment] = list(
            model.frames((2, *facts.shape), SeededNoise(range(2)), told(0, 1), options)
        )
    assert [moment.index for moment in moments] == list(range(options.steps + 1))
    assert moments[-1].evaluations == len(model.order.sizes)
    twice = model.options({"guidance": 2.0})
    guided = model.frames((2, *facts.shape), SeededNoise(range(2)), told(0, 1), twice)
    with torch.no_grad():
        assert deque(guided, maxlen=1)[0].evaluations == 2 * len(model.order.sizes)
    done = [int((model_tokens(model, moment) != UNKNOWN).sum()) for moment in moments]
    assert done[0] == 0
    assert done == sorted(set(done))
    assert done[-1] == 2 * sum(model.order.sizes)


@every_model
def test_what_is_known_stays(name: str) -> None:
    model, facts = made(name)
    x = last(model, facts, range(20, 21), told(0))
    mask = torch.zeros(1, 12, 12, dtype=torch.bool)
    mask[:, :, 6:] = True
    known = model.known(x, mask)
    assert 0 < int((known != UNKNOWN).sum()) < len(known)
    options = model.options({}, known)
    with torch.no_grad():
        noise = SeededNoise(range(8))
        (moment,) = deque(model.frames((8, *facts.shape), noise, told(*[1] * 8), options), maxlen=1)
    tokens = model.letters.read(moment.state)
    assert bool((tokens == known)[:, known != UNKNOWN].all())
    assert len(tokens.unique(dim=0)) > 1


@every_model
def test_dropout_and_blindness_are_drawn_for_each_row(name: str) -> None:
    design, facts = MODELS[name]
    model = disturbed(replace(design, dropout=0.5, blind=0.3).build(facts))
    x, condition = last(model, facts, range(3), told(0, 1, 2)), told(0, 1, 2)
    draws = model.draw(3, facts.shape, generator(0, "draws"))
    with torch.no_grad():
        whole = model.loss(Batch(x, condition), draws)
        for row in range(3):
            alone = {key: value[row : row + 1] for key, value in draws.items()}
            found = model.loss(Batch(x[row : row + 1], told(row)), alone)
            assert torch.allclose(found, whole[row : row + 1], atol=1e-5)
        plain = model.loss(Batch(x, condition), {"dropped": draws["dropped"]})
        judged = model.players()[0].judged
        assert judged is not None
        assert torch.equal(judged(Batch(x, condition), draws), plain)
    assert not torch.allclose(plain, whole)


def test_a_model_learns_the_distribution_that_it_is_shown() -> None:
    """Four pictures, equally often: the best there is costs ln 4 nats."""
    model = NextPixel(levels=2, **SIZE).build(BLACK_AND_WHITE)
    four = torch.randint(2, (4, 1, 3, 3), generator=generator(0, "pictures")) * 2.0 - 1
    player = model.players()[0]
    optimiser = torch.optim.Adam(player.module.parameters(), lr=1e-2)
    for step in range(300):
        rows = torch.randint(4, (32,), generator=generator(0, "rows", step))
        draws = model.draw(32, (1, 3, 3), generator(0, "draws", step))
        optimiser.zero_grad()
        player.loss(Batch(four[rows], None), draws).mean().backward()
        optimiser.step()
    with torch.no_grad():
        nats = -model.log_prob(four, None)
    assert float(nats.mean()) == pytest.approx(math.log(4), abs=0.1)
    samples = last(model, BLACK_AND_WHITE, range(64), None)
    found = (samples[:, None] == four[None]).flatten(2).all(2)
    # Each of four is missed by 64 draws with a probability of 1e-8.
    assert bool(found.any(0).all())
    assert float(found.any(1).float().mean()) > 0.9


def test_levels_are_read_and_written_without_loss() -> None:
    for levels in (2, 17, 256):
        letters = NextPixel(levels=levels, **SIZE).build(DataFacts((3, 4, 4), bounds=(-1.0, 1.0))).letters
        tokens = torch.randint(levels, (5, 48), generator=generator(0, "tokens"))
        assert torch.equal(letters.read(letters.write(tokens)), tokens)
        x = torch.rand(5, 3, 4, 4, generator=generator(0, "values")) * 2 - 1
        assert float((letters.write(letters.read(x)) - x).abs().max()) <= 1 / (levels - 1) + 1e-6


@pytest.mark.parametrize(
    ("design", "facts", "said"),
    [
        (NextPixel(), DataFacts((5,)), "pictures"),
        (NextPixel(), DataFacts((1, 3, 3)), "bounded|pictures"),
        (NextNumber(), PIXELS, "vectors"),
        (NextToken(), PIXELS, "--latent"),
        (NextToken(), SEVERAL, "scale-transformer"),
        (NextScale(), ONE_MAP, "token-transformer"),
        (NextPixel(guidance=2.0), BLACK_AND_WHITE, "guidance=1 and learned_guidance=1"),
        (NextPixel(learned_guidance=2.0), BLACK_AND_WHITE, "guidance=1 and learned_guidance=1"),
        (NextPixel(), replace(PIXELS, told={"picture": Picture(1)}), "picture"),
    ],
)
def test_what_does_not_suit_the_data_is_refused(design: NextPixel, facts: DataFacts, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        design.build(facts)


@pytest.mark.parametrize(
    "wrong", [{"levels": 1}, {"levels": 300}, {"width": 0}, {"dropout": 1.0}, {"blind": -0.1}, {"top_p": 2.0}]
)
def test_options_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        NextPixel(**wrong)


@pytest.mark.parametrize("given", [{"steps": 4}, {"guidance": {"text": 2.0}}])
def test_ways_to_sample_that_have_no_effect_are_refused(given: dict[str, Any]) -> None:
    model, _ = made("next token")
    with pytest.raises(ConfigError, match=r"leave out|one number"):
        model.options(given)
    with pytest.raises(ConfigError, match="told nothing"):
        disturbed(NextPixel(**SIZE).build(BLACK_AND_WHITE)).options({"guidance": 2.0})


def test_numbers_are_read_into_their_buckets_and_written_as_the_middle() -> None:
    letters = NextNumber(levels=64, reach=3.0, **SIZE).build(DataFacts((5,))).letters
    x = torch.randn(1000, 5, generator=generator(0, "numbers"))
    inside = x.abs() < 3
    again = letters.write(letters.read(x))
    assert float((again - x)[inside].abs().max()) <= 3 / 64 + 1e-5
    assert torch.equal(letters.read(again), letters.read(x))
    far = torch.tensor([[-9.0, 9.0, 0.0, 1.0, 2.0]])
    assert letters.read(far)[0, :2].tolist() == [0, 63]


def test_numbers_follow_each_other() -> None:
    """Of two numbers the second is the first, or the opposite if one says so: each is learned from before."""
    facts = DataFacts((2,), told={"label": Labels(2)}, drop=0.1)
    model = NextNumber(levels=8, reach=2.0, **SIZE).build(facts)
    player = model.players()[0]
    optimiser = torch.optim.Adam(player.module.parameters(), lr=1e-2)
    for step in range(200):
        first = torch.rand(64, 1, generator=generator(0, "first", step)) * 4 - 2
        label = torch.randint(2, (64,), generator=generator(0, "label", step))
        x = torch.cat([first, torch.where(label[:, None] == 0, first, -first)], 1)
        draws = model.draw(64, (2,), generator(0, "draws", step))
        optimiser.zero_grad()
        player.loss(Batch(x, Condition.of(label=label)), draws).mean().backward()
        optimiser.step()
    labels = torch.arange(200) % 2
    made = last(model, facts, range(200), Condition.of(label=labels))
    follows = torch.where(labels == 0, made[:, 0], -made[:, 0]) == made[:, 1]
    assert float(follows.float().mean()) > 0.9
    # Eight buckets, equally often: the deviation of a share of 1/8 among 200 is 2.3 %.
    shares = torch.bincount(model.letters.read(made)[:, 0], minlength=8) / 200
    assert float((shares - 1 / 8).abs().max()) < 0.1


@every_model
def test_where_guidance_is_learned_the_loss_is_that_of_what_lies_between(name: str) -> None:
    design, facts = MODELS[name]
    model = disturbed(replace(design, learned_guidance=2.0).build(facts))
    plain = replace(model, learned=1.0)
    x, condition = last(plain, facts, range(3), told(0, 1, 2)), told(0, 1, 2)
    draws = {"dropped": torch.tensor([False, True, False])}
    tokens = model.letters.read(x)
    with torch.no_grad():
        guided = model.module(tokens, condition)
        untold = model.module(tokens, condition.drop_all())
        between = (guided + untold) / 2  # guided = untold + 2·(between − untold)
        between[1] = untold[1]
        wanted = -between.log_softmax(-1).gather(-1, tokens[..., None])[..., 0].mean(1)
        assert torch.allclose(model.loss(Batch(x, condition), draws), wanted, atol=1e-5)


def test_a_network_is_asked_for_full_batches_alone() -> None:
    """In bf16 a product rounds otherwise with other numbers of rows, and another token would be chosen."""
    model, facts = made("next scale")
    asked: list[int] = []

    class Watched(nn.Module):
        """The network, with a count of the rows."""

        def __init__(self) -> None:
            super().__init__()
            self.inner = model.players()[0].module

        def reading(self, rows: int, said: Condition | None) -> Any:
            asked.append(rows)
            return self.inner.reading(rows, said)  # type: ignore[operator]

    watched = replace(model, module=Watched())  # type: ignore[arg-type]
    for rows in (1, 5, 32, 33):
        last(watched, facts, range(rows), told(*([0] * rows)))
    assert asked == [32, 32, 32, 64]

"""The contrastive encoder: what it learns, what it keeps, and that a collapse is seen."""

import math
from dataclasses import replace

import pytest
import torch
from accelerate import Accelerator
from torch import Tensor, nn

from sfumato.data import load_data
from sfumato.data.scaling import Pixels
from sfumato.errors import ConfigError
from sfumato.families.agreements import Batch, DataFacts, Encoder, Measured
from sfumato.families.contrasting.augmentations import Moved, Noisy
from sfumato.families.contrasting.contrastive import TEMPERATURE, Contrastive, ContrastiveEncoder
from sfumato.families.contrasting.geometry import RANK, RECOGNISED, UNIFORMITY, collapse
from sfumato.nets.contrastive import LARGEST_SCALE
from sfumato.train.budget import Budget
from sfumato.train.loop import Fit, FitSettings
from sfumato.train.optimiser import AdamW
from sfumato.train.signals import StopRequest

TINY = Contrastive(embedding=16, projection=8, widths=(16, 16, 16))
DIGITS = DataFacts((1, 8, 8), 10, (-1.0, 1.0))


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def built(design: Contrastive = TINY, facts: DataFacts = DIGITS) -> ContrastiveEncoder:
    with torch.random.fork_rng():
        torch.random.default_generator.manual_seed(0)
        return design.build(facts)


def pictures(rows: int, *shape: int) -> Tensor:
    return torch.rand(rows, *(shape or (1, 8, 8)), generator=generator()) * 2 - 1


def digits(indices: Tensor) -> Batch:
    return Batch(Pixels().to_model(load_data("digits").train.batch(indices)[0]), None)


def trained(steps: int) -> ContrastiveEncoder:
    family = built()
    settings = FitSettings(64, AdamW(), learning_rate=3e-3, warmup=5, clip=1.0, seed=0, precision="fp32")
    fit = Fit(family, 1600, digits, (1, 8, 8), settings, Accelerator(cpu=True))
    for _ in fit.run(Budget("steps", steps), StopRequest()):
        pass
    return family


def measured(family: ContrastiveEncoder, rows: int = 150) -> dict[str, float]:
    held_out = load_data("digits").held_out.batch(torch.arange(rows))[0]
    draws = family.draw(rows, (1, 8, 8), generator())
    return dict(family.measures(Batch(Pixels().to_model(held_out), None), draws))


@pytest.fixture(scope="module")
def learned() -> ContrastiveEncoder:
    return trained(120)


def test_it_is_an_encoder_and_can_be_measured() -> None:
    family = built()
    assert isinstance(family, Encoder)
    assert isinstance(family, Measured)


@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 28, 28), (3, 9, 13), (3, 48, 50), (2,)])
def test_any_data_gets_an_embedding_and_a_loss(shape: tuple[int, ...]) -> None:
    family = built(facts=DataFacts(shape))
    x = pictures(5, *shape)
    assert family.encode(x, None).shape == (5, 16)
    loss = family.loss(Batch(x, None), family.draw(5, shape, generator()))
    assert loss.shape == (5,)
    loss.mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in family.module.parameters())


def test_an_embedding_does_not_depend_on_its_neighbours() -> None:
    family, x = built(), pictures(6)
    together = family.encode(x, None)
    for row in range(6):
        # The order of float32 sums may differ with the size of a batch.
        assert torch.allclose(family.encode(x[row : row + 1], None)[0], together[row], atol=1e-5)


def test_the_head_is_left_out_of_the_embedding() -> None:
    family, x = built(), pictures(3)
    before = family.encode(x, None)
    with torch.no_grad():
        family.module.inner.weight.zero_()
        family.module.outer.weight.zero_()
    assert torch.equal(family.encode(x, None), before)


def test_training_recognises_views_of_digits_it_has_not_seen(learned: ContrastiveEncoder) -> None:
    before, after = measured(built()), measured(learned)
    assert after[RECOGNISED] > 2 * before[RECOGNISED]
    assert after[UNIFORMITY] < -1  # one point is 0
    assert collapse(after) is None


class Constant(nn.Module):
    """Features that say nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.linspace(-1, 1, 16))

    def forward(self, x: Tensor) -> Tensor:
        return self.value.expand(len(x), -1)


class OneLine(Constant):
    """Features along a single direction."""

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1).mean(1, keepdim=True) * self.value


@pytest.mark.parametrize(("features", "words"), [(Constant(), "same embedding"), (OneLine(), "")])
def test_a_collapsed_encoder_is_noticed(features: nn.Module, words: str) -> None:
    family = built()
    family.module.features = features
    said = collapse(measured(family))
    assert said is not None
    assert words in said


def test_one_example_alone_can_be_looked_at() -> None:
    """As where one picture is held out: it has no pair whose distance could be measured."""
    assert UNIFORMITY not in measured(built(), rows=1)


def test_a_constant_encoder_recognises_no_view() -> None:
    family = built()
    family.module.features = Constant()
    found = measured(family)
    assert found[RECOGNISED] == 0
    assert found[RANK] == 1


def test_the_temperature_starts_as_asked_and_is_learned() -> None:
    family = built(replace(TINY, temperature=0.2))
    assert family.module.scale.item() == pytest.approx(5, rel=1e-6)
    family.loss(digits(torch.arange(16)), family.draw(16, (1, 8, 8), generator())).mean().backward()
    assert float(family.module.log_scale.grad) != 0  # type: ignore[arg-type]


def test_the_scale_is_capped_and_can_come_back() -> None:
    family = built()
    with torch.no_grad():
        family.module.log_scale.fill_(7.0)
    assert family.module.scale.item() == pytest.approx(LARGEST_SCALE, rel=1e-5)
    batch, draws = digits(torch.arange(16)), family.draw(16, (1, 8, 8), generator())
    player = family.players()[0]
    assert player.after is not None
    player.loss(batch, draws).mean().backward()
    assert family.module.log_scale.grad.item() == 0  # type: ignore[union-attr]  # beyond it, none
    player.after(batch, draws)
    assert family.module.log_scale.item() == pytest.approx(math.log(100), rel=1e-6)
    player.loss(batch, draws).mean().backward()
    assert family.module.log_scale.grad.item() != 0  # type: ignore[union-attr]  # at it, alive
    assert measured(family)[TEMPERATURE] == pytest.approx(0.01, rel=1e-4)


def test_draws_decide_the_loss() -> None:
    family, batch = built(), digits(torch.arange(16))
    draws = family.draw(16, (1, 8, 8), generator())
    assert torch.equal(family.loss(batch, draws), family.loss(batch, draws))
    other = family.draw(16, (1, 8, 8), generator(1))
    assert not torch.equal(family.loss(batch, draws), family.loss(batch, other))
    assert all(len(value) == 16 for value in draws.values())


def test_averaged_modules_take_the_place_of_the_network(learned: ContrastiveEncoder) -> None:
    fresh, x = built(), pictures(4)
    swapped = fresh.with_modules({"encoder": learned.module})
    assert torch.equal(swapped.encode(x, None), learned.encode(x, None))
    assert fresh.with_modules({}).module is fresh.module


def test_mirroring_is_as_asked_or_as_suits_the_data() -> None:
    def share(design: Contrastive, channels: int) -> float:
        pieces = design.build(DataFacts((channels, 8, 8))).views.pieces
        return next(piece.mirror for piece in pieces if isinstance(piece, Moved))

    assert [share(TINY, channels) for channels in (1, 3)] == [0.0, 0.5]
    assert [share(replace(TINY, mirror=0.25), channels) for channels in (1, 3)] == [0.25, 0.25]
    assert built(facts=DataFacts((2,))).views.pieces == (Noisy(0.3),)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("temperature", 0.001),
        ("temperature", math.nan),
        ("strength", -0.1),
        ("mirror", 1.5),
        ("widths", ()),
        ("embedding", 0),
    ],
)
def test_impossible_options_are_refused(option: str, value: object) -> None:
    with pytest.raises(ConfigError, match="embedding" if option == "widths" else option):
        replace(TINY, **{option: value})

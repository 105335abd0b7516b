"""A tokenizer and its critic: the critic's wish is added when it is to count, and to whole rows alone."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from sfumato.errors import ConfigError
from sfumato.families.agreements import Batch, DataFacts
from sfumato.families.autoencoders.sharpened import CRITIC, SharpenedMultiScaleVQ, SharpenedQuantised
from sfumato.randomness import generator

FACTS = DataFacts((1, 8, 8), bounds=(-1.0, 1.0))


def built(**options: float) -> SharpenedQuantised:
    torch.manual_seed(0)
    return SharpenedMultiScaleVQ(codes=16, depth=4, width=16, critic_width=8, **options).build(FACTS)  # type: ignore[arg-type]


def pictures(rows: int = 6) -> Tensor:
    return torch.rand(rows, 1, 8, 8, generator=generator(0, "pictures")) * 2 - 1


class Darker(nn.Module):
    """A critic that takes what is dark for data."""

    def forward(self, x: Tensor) -> Tensor:
        return -x.flatten(1).mean(1, keepdim=True)


def test_before_its_time_the_critic_does_not_count() -> None:
    model = built(since=0.5)
    draws = model.draw(6, (1, 8, 8), generator(0, "draws"))
    plain = super(SharpenedQuantised, model).loss(Batch(pictures(), None, 0.4), draws)
    assert torch.equal(model.loss(Batch(pictures(), None, 0.4), draws), plain)
    assert not torch.equal(model.loss(Batch(pictures(), None, 0.6), draws), plain)


def test_rows_of_some_maps_alone_are_not_sharpened() -> None:
    model = built(truncated=0.5)
    draws = {**model.draw(6, (1, 8, 8), generator(0, "draws")), "kept": torch.tensor([1, 2, 3, 4, 4, 4])}
    assert len(model.writing.maps) == 4
    plain = super(SharpenedQuantised, model).loss(Batch(pictures(), None, 1.0), draws)
    changed = model.loss(Batch(pictures(), None, 1.0), draws) != plain
    assert changed.tolist() == [False, False, False, True, True, True]


def test_the_wish_is_sharpness_nats_a_value() -> None:
    draws = built().draw(6, (1, 8, 8), generator(0, "draws"))
    draws = {**draws, "kept": torch.full((6,), 4)}
    batch = Batch(pictures(), None, 1.0)
    none, some, more = (built(sharpness=weight).loss(batch, draws) for weight in (0.0, 0.1, 0.3))
    assert torch.allclose(more - none, 3 * (some - none), rtol=1e-4)


def test_the_autoencoder_follows_the_critic() -> None:
    model = replace(built(sharpness=10.0), critic=Darker())
    draws = {**model.draw(6, (1, 8, 8), generator(0, "draws")), "kept": torch.full((6,), 4)}
    batch = Batch(pictures(), None, 1.0)
    optimiser = torch.optim.Adam(model.module.parameters(), lr=1e-3)
    before = model.likelihood.mean(model.module(batch.examples)[0]).mean()
    for _ in range(10):
        optimiser.zero_grad()
        (model.loss(batch, draws) - super(SharpenedQuantised, model).loss(batch, draws)).mean().backward()
        optimiser.step()
    assert model.likelihood.mean(model.module(batch.examples)[0]).mean() < before - 0.01


def test_a_critic_learns_to_tell_rebuilt_pictures() -> None:
    model = built()
    batch = Batch(pictures(32), None, 1.0)
    player = next(player for player in model.players() if player.name == CRITIC)
    optimiser = torch.optim.Adam(player.module.parameters(), lr=3e-3)
    for step in range(40):
        optimiser.zero_grad()
        player.loss(batch, model.draw(32, (1, 8, 8), generator(0, "draws", step))).mean().backward()
        optimiser.step()
    assert all(weight.grad is None for weight in model.module.parameters())
    real, made = (
        model.critic(x) for x in (batch.examples, model.likelihood.mean(model.module(batch.examples)[0]))
    )
    assert bool((real > made).float().mean() > 0.9)


@pytest.mark.parametrize("wrong", [{"sharpness": -1.0}, {"since": 1.0}, {"critic_width": 0}])
def test_what_is_out_of_range_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        SharpenedMultiScaleVQ(**wrong)  # type: ignore[arg-type]

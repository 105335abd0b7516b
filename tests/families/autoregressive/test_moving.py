"""Moved pictures: moved as said, and never asked for where nobody speaks of a move."""

import pytest
import torch

from sfumato.condition import Condition
from sfumato.errors import ConfigError
from sfumato.families.agreements import Batch, DataFacts
from sfumato.families.autoregressive.moving import MOVED, Moving
from sfumato.families.autoregressive.next_pixel import NextPixel, NextPixelByConvolution
from sfumato.nets.conditions import Labels
from sfumato.randomness import generator

FACTS = DataFacts((1, 5, 4), bounds=(-1.0, 1.0), told={"label": Labels(3)}, drop=0.1)


def test_a_picture_is_moved_as_said_and_its_edge_repeated() -> None:
    x = torch.arange(20.0).view(1, 1, 5, 4).repeat(9, 1, 1, 1)
    moved, told = Moving(1)(x, None, torch.arange(9))
    for move in range(9):
        down, right = divmod(move, 3)
        rows = (torch.arange(5) + down - 1).clamp(0, 4)
        columns = (torch.arange(4) + right - 1).clamp(0, 3)
        assert torch.equal(moved[move, 0], x[move, 0][rows][:, columns])
    assert torch.equal(moved[4], x[4])
    assert told.values[MOVED].tolist() == list(range(9))
    assert not told.dropped[MOVED].any()


def test_a_row_that_is_not_moved_is_told_nothing() -> None:
    x = torch.randn(3, 1, 5, 4, generator=generator(0, "x"))
    condition = Condition.of(label=torch.tensor([0, 1, 2]))
    moved, told = Moving(1)(x, condition, torch.tensor([0, -1, 8]))
    assert torch.equal(moved[1], x[1])
    assert told.dropped[MOVED].tolist() == [False, True, False]
    assert torch.equal(told.values["label"], condition.values["label"])


@pytest.mark.parametrize("design", [NextPixel, NextPixelByConvolution])
def test_to_say_nothing_of_moves_is_to_mean_none(design: type[NextPixel]) -> None:
    model = design(width=16, layers=2, levels=4, moved=1).build(FACTS)
    for parameter in model.players()[0].module.parameters():
        torch.nn.init.normal_(parameter, std=0.3, generator=generator(0, "weights"))
    x = model.letters.write(torch.randint(4, (2, 20), generator=generator(0, "x")))
    condition = Condition.of(label=torch.tensor([0, 1]))
    still = {"dropped": torch.zeros(2, dtype=torch.bool), MOVED: torch.tensor([-1, -1])}
    with torch.no_grad():
        loss = model.loss(Batch(x, condition), still)
        assert torch.allclose(loss.double(), -model.log_prob(x, condition) / 20, atol=1e-5)
        moves = {**still, MOVED: torch.tensor([0, 3])}
        assert not torch.allclose(model.loss(Batch(x, condition), moves), loss)
    assert model.obeys == ("label",)


def test_moves_of_less_than_nothing_are_refused() -> None:
    with pytest.raises(ConfigError, match="moved"):
        NextPixel(moved=-1).build(FACTS)

"""Tokens as names and as values: what is near is alike at first, and nothing is out of reach."""

import pytest
import torch
from torch.nn import functional as F

from sfumato.nets.causal.vocabulary import Names, Values, Vocabulary

WIDTH = 2000
"""So wide that chance agreement of two embeddings is about 1/√2000 = 0.022."""


def likeness(vocabulary: Vocabulary) -> torch.Tensor:
    """Return the cosines between all pairs of embeddings."""
    torch.manual_seed(0)
    table = F.normalize(vocabulary.tables(1, WIDTH)[0], dim=1)
    return table @ table.T


def test_waves_are_at_right_angles_and_sum_to_nothing() -> None:
    # Times k, the discrete cosine transform of the second kind: orthogonal columns, of square V/2 each.
    waves = Values(17).waves().double() * torch.arange(1, 9)
    torch.testing.assert_close(waves.T @ waves, 17 / 2 * torch.eye(8, dtype=torch.float64), atol=1e-5, rtol=0)
    torch.testing.assert_close(waves.sum(0), torch.zeros(8, dtype=torch.float64), atol=1e-5, rtol=0)


def test_near_values_are_alike_and_names_are_not() -> None:
    like = likeness(Values(64))
    steps = torch.stack([like.diagonal(step).mean() for step in range(32)])
    assert bool((steps.diff() < 0.05).all())  # falls with distance, five standard errors of chance aside
    assert steps[1] > 0.9 > 0.2 > steps[31]
    names = likeness(Names(64)) - torch.eye(64)
    assert names.abs().max() < 0.15  # six standard errors


@pytest.mark.parametrize("count", [2, 3, 17, 256])
def test_embeddings_have_deviation_one(count: int) -> None:
    for vocabulary in (Values(count), Names(count)):
        torch.manual_seed(0)
        tables = vocabulary.tables(3, 500)
        assert tables.shape == (3, count, 500)
        assert float(tables.std()) == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("count", [2, 17])
def test_a_value_teaches_its_neighbours(count: int) -> None:
    torch.manual_seed(0)
    head, h = Values(count).head(16), torch.randn(1, 16)
    logits = head(h)
    assert bool((logits == 0).all())
    F.cross_entropy(logits, torch.tensor([0])).backward()
    with torch.no_grad():
        for parameter in head.parameters():
            parameter -= 0.1 * parameter.grad
        learned = head(h)[0]
    assert int(learned.argmax()) == 0
    if count > 3:
        assert learned[1] > learned[3] > learned[8]


def test_a_head_of_values_can_say_anything() -> None:
    torch.manual_seed(0)
    head, wanted = Values(20).head(20), torch.randn(20, 20)
    with torch.no_grad():
        head.common.weight.normal_()
        rest = wanted - head.common.weight.T @ head.waves.T
        head.own.weight.copy_(rest.T)
    torch.testing.assert_close(head(torch.eye(20)), wanted)

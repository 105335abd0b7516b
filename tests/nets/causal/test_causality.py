"""The masks are proved: no output has a gradient with respect to a token of its own group or a later one.

Every token of the sequence is another one, so the gradient with respect to row j of a table of embeddings is
that with respect to the token at place j.
"""

import pytest
import torch
from torch import Tensor, nn

from sfumato.condition import Condition
from sfumato.nets.causal.convolution import PixelCNN
from sfumato.nets.causal.order import Order, Raster, Scales, spans
from sfumato.nets.causal.transformer import CausalNetwork, CausalTransformer
from sfumato.nets.causal.vocabulary import Names, Values
from sfumato.nets.conditions import Labels

GREY, COLOUR, VECTOR = Raster(4, 3), Raster(2, 3, 3), Raster(1, 5)
SCALES = Scales(((1, 1), (2, 2), (3, 3), (5, 4)))
TOLD = {"label": Labels(3)}
CASES = [
    *((CausalTransformer, order) for order in (GREY, COLOUR, VECTOR, SCALES)),
    *((PixelCNN, order) for order in (GREY, COLOUR, VECTOR)),
]
every_network = pytest.mark.parametrize(("kind", "order"), CASES, ids=lambda value: repr(value)[:40])


def network(kind: type, order: Order, vocabulary: int | None = None) -> CausalNetwork:
    """Return a network of three layers in which nothing is 0, as it is before training."""
    # Maps are of names, as those of VAR are; all else is of values here.
    tokens = (Names if order is SCALES else Values)(vocabulary or sum(order.sizes))
    made: nn.Module = kind(order, tokens, 16, 3, TOLD)
    randomness = torch.Generator().manual_seed(0)
    for parameter in made.parameters():
        nn.init.normal_(parameter, std=0.3, generator=randomness)
    return made.double()  # type: ignore[return-value]


def groups(order: Order) -> Tensor:
    return torch.arange(len(order.sizes)).repeat_interleave(torch.tensor(order.sizes))


def tables(made: CausalNetwork) -> list[nn.Parameter]:
    """Return all embeddings of tokens: parameters (…, V, W)."""
    if isinstance(made, PixelCNN):
        return [made.table, *made.before]
    assert isinstance(made, CausalTransformer)
    return [made.tables]


@every_network
def test_no_output_has_a_gradient_of_a_token_that_is_not_earlier(kind: type, order: Order) -> None:
    made, length, group = network(kind, order), sum(order.sizes), groups(order)
    tokens, told = torch.arange(length)[None], Condition.of(label=torch.tensor([1]))
    logits = made(tokens, told)[0]
    reached = torch.zeros(length, dtype=torch.bool)
    for place in range(length):
        found = torch.autograd.grad(logits[place].square().sum(), tables(made), retain_graph=True)
        sizes = sum(grad.abs().transpose(-1, -2).flatten(0, -2).sum(0) for grad in found)
        assert bool((sizes[group >= group[place]] == 0).all()), place
        reached[(sizes > 0)] = True
        if isinstance(made, CausalTransformer):
            assert bool((sizes[group < group[place]] > 0).all()), place
    # All but the last group's tokens are of use to some output.
    assert bool(reached[group < group[-1]].all())


@every_network
def test_what_is_kept_says_the_same_as_a_whole_pass(kind: type, order: Order) -> None:
    made = network(kind, order, vocabulary=5)
    randomness = torch.Generator().manual_seed(1)
    tokens = torch.randint(5, (2, sum(order.sizes)), generator=randomness)
    told = Condition.of(label=torch.tensor([0, 2]))
    whole, reading, known = made(tokens, told), made.reading(2, told), torch.full_like(tokens, -1)
    for places in spans(order):
        # In float64 both ways differ by rounding alone.
        assert torch.allclose(reading(known, places), whole[:, places], atol=1e-10)
        known[:, places] = tokens[:, places]


@every_network
def test_every_row_is_answered_by_itself(kind: type, order: Order) -> None:
    made = network(kind, order, vocabulary=5)
    tokens = torch.randint(5, (3, sum(order.sizes)), generator=torch.Generator().manual_seed(2))
    told = Condition.of(label=torch.tensor([0, 1, 2]))
    turned = torch.tensor([2, 0, 1])
    assert torch.allclose(made(tokens, told)[turned], made(tokens[turned], told[turned]), atol=1e-10)


@every_network
def test_a_mask_of_ones_is_no_mask(kind: type, order: Order) -> None:
    made = network(kind, order, vocabulary=5)
    tokens = torch.randint(5, (2, sum(order.sizes)), generator=torch.Generator().manual_seed(3))
    told, ones = Condition.of(label=torch.tensor([0, 1])), torch.ones(2, 3, 16)
    assert torch.equal(made(tokens, told, ones), made(tokens, told))
    ones[0, 1] = 0
    changed = made(tokens, told, ones)
    assert not torch.equal(changed[0], made(tokens, told)[0])
    assert torch.equal(changed[1], made(tokens, told)[1])

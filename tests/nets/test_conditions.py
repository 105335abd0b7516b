"""What a network is told: hidden is untold to the bit, rows do not mix, and words bring places with them."""

import pytest
import torch

from sfumato.condition import Condition
from sfumato.nets.conditions import Labels, Picture, Text, Vector, places_like
from sfumato.nets.mlp import MLP
from sfumato.nets.unet import UNet

RANDOM = torch.Generator().manual_seed(0)
ROWS, LENGTH = 4, 6


def randn(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=RANDOM)


TOKENS = torch.tensor([[1, 5, 6, 2, 0, 0], [1, 7, 2, 0, 0, 0], [1, 8, 9, 5, 6, 2], [1, 2, 0, 0, 0, 0]])
TOLD = {
    "label": (Labels(3), torch.tensor([0, 1, 2, 0])),
    "attributes": (Vector(5), randn(ROWS, 5).sign()),
    "text": (Text(10, LENGTH, width=16, layers=1), TOKENS),
    "picture": (Picture(1), randn(ROWS, 2, 4, 4)),
}
every_condition = pytest.mark.parametrize("name", TOLD)


def network(*names: str) -> UNet:
    made = UNet(1, (16, 16), conditions={name: TOLD[name][0] for name in names})
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.copy_(0.2 * randn(*parameter.shape))
    return made.eval()


def condition(*names: str) -> Condition:
    return Condition.of(**{name: TOLD[name][1] for name in names})


X, LEVEL = randn(ROWS, 1, 8, 8), randn(ROWS)


@every_condition
@torch.no_grad()
def test_a_hidden_condition_is_no_condition_to_the_bit(name: str) -> None:
    model, told = network(name), condition(name)
    assert torch.equal(model(X, LEVEL, told.drop_all()), model(X, LEVEL, None))
    assert not torch.allclose(model(X, LEVEL, told), model(X, LEVEL, None))


@every_condition
@torch.no_grad()
def test_rows_do_not_mix(name: str) -> None:
    model, told = network(name), condition(name).drop(torch.tensor([False, True, False, False]))
    order = torch.tensor([3, 1, 0, 2])
    turned = model(X[order], LEVEL[order], told[order])
    # Kernels may add in another order for another place in the batch.
    torch.testing.assert_close(turned, model(X, LEVEL, told)[order], rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_all_can_be_told_at_once_and_each_left_out() -> None:
    model, told = network(*TOLD), condition(*TOLD)
    whole = model(X, LEVEL, told)
    for name in TOLD:
        assert not torch.allclose(model(X, LEVEL, told.without((name,))), whole)
    for name in ("label", "attributes", "text", "picture"):
        part = condition(*(other for other in TOLD if other != name))
        torch.testing.assert_close(
            model(X, LEVEL, part), model(X, LEVEL, told.without((name,))), rtol=1e-5, atol=1e-6
        )


@torch.no_grad()
def test_words_are_found_by_their_pixels_and_padding_is_not() -> None:
    model = network("text")
    longer = Condition.of(text=torch.cat([TOKENS[:, :5], TOKENS[:, 5:]], 1))
    other = Condition.of(text=TOKENS.masked_fill(TOKENS == 5, 4))
    same, changed = model(X, LEVEL, longer), model(X, LEVEL, other)
    whole = model(X, LEVEL, condition("text"))
    assert torch.equal(same, whole)
    assert torch.equal(changed[1], whole[1])  # its sentence has no 5
    assert not torch.allclose(changed[0], whole[0])


def test_places_run_from_corner_to_corner() -> None:
    across, down = places_like(torch.zeros(1, 3, 2, 3))[0]
    assert across.tolist() == [[-1, 0, 1]] * 2
    assert down.tolist() == [[-1, -1, -1], [1, 1, 1]]


@torch.no_grad()
def test_a_perceptron_is_told_as_well() -> None:
    model = MLP(3, 16, conditions={"attributes": Vector(5)})
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(0.2 * randn(*parameter.shape))
    x, told = randn(ROWS, 3), condition("attributes")
    assert torch.equal(model(x, LEVEL, told.drop_all()), model(x, LEVEL, None))
    assert not torch.allclose(model(x, LEVEL, told), model(x, LEVEL, None))

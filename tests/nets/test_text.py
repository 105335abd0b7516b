"""The network that reads: what padding, neighbours and the order of words do to what it says."""

import pytest
import torch
from torch import Tensor

from sfumato.nets.text import Looking, TextTransformer

ROWS = torch.tensor(
    [[1, 5, 6, 2, 0, 0], [1, 7, 2, 0, 0, 0], [1, 5, 7, 9, 6, 2], [1, 2, 0, 0, 0, 0], [1, 6, 5, 2, 0, 0]]
)
EXACT = {"rtol": 1e-12, "atol": 1e-12}
"""float64, in which sums over rows of another length may round another way."""


def drawn(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(len(shape)), dtype=torch.float64)


@pytest.fixture(scope="module")
def network() -> TextTransformer:
    """A network with nothing at zero, as it is after training."""
    made = TextTransformer(10, 8, width=64, layers=2).double()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.copy_(drawn(*parameter.shape) * 0.3)
    return made


def test_its_shapes(network: TextTransformer) -> None:
    read = network(ROWS)
    assert read.each.shape == (5, 6, 64)
    assert read.whole.shape == (5, 64)
    assert torch.equal(read.present, ROWS > 0)


def test_more_padding_changes_nothing(network: TextTransformer) -> None:
    short, long = network(ROWS), network(torch.nn.functional.pad(ROWS, (0, 2)))
    torch.testing.assert_close(long.whole, short.whole, **EXACT)
    torch.testing.assert_close(long.each[:, :6], short.each, **EXACT)
    assert not long.each[:, 6:].any()
    assert not long.present[:, 6:].any()


def test_padding_says_nothing_whatever_its_vector(network: TextTransformer) -> None:
    before, kept = network(ROWS), network.words.detach()[0].clone()
    with torch.no_grad():
        network.words[0] = 100.0
    after = network(ROWS)
    with torch.no_grad():
        network.words[0] = kept
    assert all(torch.equal(a, b) for a, b in zip(after, before, strict=True))
    read = network(ROWS)
    gradient = torch.autograd.grad(read.whole.sum() + read.each.sum(), network.words)[0]
    assert not gradient[0].any()
    assert gradient[[1, 2, 5, 6, 7, 9]].abs().amin(0).all()


def test_rows_do_not_know_of_each_other(network: TextTransformer) -> None:
    together = network(ROWS)
    for row, tokens in enumerate(ROWS):
        alone = network(tokens[None])
        torch.testing.assert_close(alone.whole[0], together.whole[row], **EXACT)
        torch.testing.assert_close(alone.each[0], together.each[row], **EXACT)
    order = torch.tensor([3, 1, 4, 0, 2])
    torch.testing.assert_close(network(ROWS[order]).whole, together.whole[order], **EXACT)


def test_the_order_of_words_matters_and_each_knows_all_others(network: TextTransformer) -> None:
    read = network(ROWS)
    assert (read.whole[0] - read.whole[4]).abs().max() > 1e-3  # "5 6" and "6 5"
    other = network(torch.tensor([[1, 5, 8, 2, 0, 0]]))  # the second word is another: the first looks ahead
    assert (other.each[0, 1] - read.each[0, 1]).abs().max() > 1e-3


def test_the_whole_is_what_stands_at_the_end(network: TextTransformer) -> None:
    read = network(ROWS)
    ends = (ROWS == 2).int().argmax(1)
    assert torch.equal(read.whole, read.each[torch.arange(5), ends])


def test_a_row_without_a_word_is_finite_and_has_one_meaning(network: TextTransformer) -> None:
    empty = [network(torch.zeros(1, length, dtype=torch.int64)) for length in (1, 6)]
    assert empty[0].whole.isfinite().all()
    torch.testing.assert_close(empty[0].whole, empty[1].whole, **EXACT)
    assert not empty[1].each.any()
    empty[1].whole.sum().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in network.parameters())
    network.zero_grad(set_to_none=True)


@pytest.mark.parametrize("width", [32, 64, 40])
def test_attention_is_the_library_s(width: int) -> None:
    looking = Looking(width).double()
    with torch.no_grad():
        looking.out.weight.copy_(torch.eye(width))
    h, present = drawn(5, 6, width), ROWS > 0
    q, k, v = looking.qkv(h).view(5, 6, 3, looking.heads, -1).permute(2, 0, 3, 1, 4)
    expected = torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=present[:, None, None])
    torch.testing.assert_close(looking(h, present), expected.transpose(1, 2).reshape(5, 6, width), **EXACT)


def test_an_untrained_layer_passes_its_input_on_and_learns() -> None:
    fresh = TextTransformer(10, 6, width=32, layers=2)
    read = fresh(ROWS)
    plain = fresh.norm(fresh.words[ROWS] + fresh.places)
    torch.testing.assert_close(read.each[ROWS > 0], plain[ROWS > 0])
    read.whole.square().sum().backward()
    assert all(layer.outer.weight.grad.any() for layer in fresh.layers)

"""Maps of codes from coarse to fine: what each says, what they sum to, and what trains them."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from sfumato.nets.causal.order import UNKNOWN
from sfumato.nets.scale_quantiser import ScaleQuantiser, averaging, enlarging
from sfumato.randomness import generator

MAPS = ((1, 1), (2, 2), (3, 2), (5, 4))
ENDS = (1, 5, 11, 31)
"""After how many tokens each map is complete."""


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=generator(seed, "test"))


def quantiser(codes: int = 9, depth: int = 3, commitment: float = 0.25) -> ScaleQuantiser:
    made = ScaleQuantiser(MAPS, codes, depth, commitment)
    with torch.no_grad():
        made.quantiser.codebook.copy_(randn(codes, depth, seed=5))
    return made


def cut(tokens: Tensor, kept: int) -> Tensor:
    """Return the tokens of the first `kept` maps, and `UNKNOWN` behind them."""
    return torch.cat([tokens[:, : ENDS[kept - 1]], torch.full_like(tokens[:, ENDS[kept - 1] :], UNKNOWN)], 1)


def test_maps_are_found_as_the_paper_s_algorithms_say() -> None:
    """Algorithm 1, written with torch's own resizing and distances."""
    made, z = quantiser(), randn(4, 3, 5, 4)
    rest, found, seen = z, [], []
    for size in MAPS:
        small = F.interpolate(rest, size, mode="area")
        numbers = torch.cdist(small.permute(0, 2, 3, 1), made.quantiser.codebook).argmin(-1)
        code = made.quantiser.codebook[numbers].permute(0, 3, 1, 2)
        rest = rest - (F.interpolate(code, MAPS[-1], mode="bicubic") if size != MAPS[-1] else code)
        found.append(numbers.flatten(1))
        seen.append(small.flatten(2))
    assert torch.equal(made.tokens(z), torch.cat(found, 1))
    torch.testing.assert_close(made.seen(z), torch.cat(seen, 2))
    # Algorithm 2: the sum is what the residual is without.
    torch.testing.assert_close(made.sums(made.tokens(z))[-1], z - rest)


@pytest.mark.parametrize("size", MAPS)
def test_resizing_keeps_what_is_even_and_at_the_finest_size_everything(size: tuple[int, int]) -> None:
    finest = MAPS[-1]
    down, up = averaging(finest, size), enlarging(size, finest)
    assert down.shape == up.T.shape
    torch.testing.assert_close(down.sum(1), torch.ones(len(down)))
    torch.testing.assert_close(up.sum(1), torch.ones(len(up)))
    if size == finest:
        assert torch.equal(down, torch.eye(20))
        assert torch.equal(up, torch.eye(20))


def test_each_code_is_the_best_for_what_it_was_chosen_for() -> None:
    """No other code leaves less at a place of a map, nor of the picture itself at the finest."""
    made, z = quantiser(), randn(4, 3, 5, 4)
    book = made.quantiser.codebook.detach()
    distances = (made.seen(z)[:, :, None] - book.T[None, :, :, None]).square().sum(1)  # (B, codes, L)
    chosen = distances.gather(1, made.tokens(z)[:, None])[:, 0]
    # 1e-5: the nearest is found without the square of what it is near to, so ties are told by rounding.
    assert bool((chosen <= distances.min(1).values + 1e-5).all())
    left = (z - made.sums(made.tokens(z))[-1]).square().sum(1).flatten(1)
    torch.testing.assert_close(left, chosen[:, ENDS[-2] :])


@pytest.mark.parametrize("number", [0, 3])
def test_with_a_code_of_zeros_the_coarsest_and_the_finest_map_never_add_to_the_error_at_their_size(
    number: int,
) -> None:
    """There shrinking undoes enlarging, so what is left is s − e, and 0 is one of the e."""
    made, z = quantiser(codes=3), 0.3 * randn(64, 3, 5, 4) + randn(64, 3, 1, 1, seed=1)
    with torch.no_grad():
        made.quantiser.codebook[0] = 0
    down = averaging(MAPS[-1], MAPS[number])
    sums = torch.cat([torch.zeros(1, *z.shape), made.sums(made.tokens(z)).detach()])
    before, after = ((z - sums[number + step]).flatten(2) @ down.T for step in (0, 1))
    errors = [rest.square().sum(1) for rest in (before, after)]
    assert bool((errors[1] <= errors[0] + 1e-5).all())
    assert float(errors[1].mean()) < float(errors[0].mean())
    torch.testing.assert_close(before, made.seen(z).split([1, 4, 6, 20], 2)[number])


def test_tokens_tell_what_the_decoder_is_shown() -> None:
    made, z = quantiser(), randn(4, 3, 5, 4)
    torch.testing.assert_close(made(z)[0], made.sums(made.tokens(z))[-1])


@pytest.mark.parametrize("kept", [1, 2, 3, 4])
def test_unknown_maps_are_maps_that_are_left_out(kept: int) -> None:
    made, z = quantiser(), randn(4, 3, 5, 4)
    tokens = made.tokens(z)
    shown, cost = made(z, torch.full((4,), kept))
    torch.testing.assert_close(shown, made.sums(cut(tokens, kept))[-1])
    assert torch.equal(made.sums(cut(tokens, kept))[-1], made.sums(tokens)[kept - 1])
    assert torch.equal(cost, made(z)[1]), "the cost is of all maps"


def test_each_row_keeps_its_own_number_of_maps() -> None:
    made, z = quantiser(), randn(4, 3, 5, 4)
    mixed, _ = made(z, torch.tensor([2, 4, 1, 3]))
    alone = torch.stack([made(z, torch.full((4,), kept))[0][row] for row, kept in enumerate([2, 4, 1, 3])])
    assert torch.equal(mixed, alone)


def test_rows_do_not_see_each_other() -> None:
    made, z = quantiser(), randn(6, 3, 5, 4)
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    assert torch.equal(made.tokens(z[order]), made.tokens(z)[order])


def test_the_gradient_goes_straight_through() -> None:
    """What a function of the sum would send to it, it sends to what was encoded; the codes get none."""
    made, z, weight = quantiser(), randn(2, 3, 5, 4).requires_grad_(), randn(2, 3, 5, 4, seed=1)
    shown, _ = made(z)
    (shown.square() * weight).sum().backward()
    torch.testing.assert_close(z.grad, 2 * weight * shown.detach())
    assert made.quantiser.codebook.grad is None


def test_the_cost_draws_every_sum_to_the_encoding_and_the_encoding_to_every_sum() -> None:
    made, z = quantiser(commitment=0.4), randn(2, 3, 5, 4).requires_grad_()
    _, cost = made(z)
    cost.sum().backward()
    gaps = (z - made.sums(made.tokens(z))).detach()
    torch.testing.assert_close(cost.detach(), 1.4 * gaps.square().mean(0).flatten(1).sum(1))
    torch.testing.assert_close(z.grad, 0.8 * gaps.mean(0))
    # The last map's codes are in the last sum alone: moving one moves its places by as much.
    book, tokens = made.quantiser.codebook, made.tokens(z)
    sums = made.sums(tokens)
    expected = torch.autograd.grad((z.detach() - sums).square().mean(0).sum(), book)[0]
    torch.testing.assert_close(book.grad, expected)


def test_a_dead_code_moves_to_what_some_map_asked_for() -> None:
    made, z = quantiser(), randn(3, 3, 5, 4, seed=3)
    made.quantiser.usage.fill_(1.0)
    made.quantiser.usage[[2, 5]] = 0.0
    with torch.no_grad():
        made.quantiser.codebook[[2, 5]] = 100.0  # so far off that no place chooses them
    asked = made.seen(z)
    # Lots below one half go to the first of the two dead codes; there the higher one wins.
    made.revive(z, torch.tensor([7, 0, 30]), torch.tensor([0.1, 0.4, 0.9]))
    assert torch.equal(made.quantiser.codebook[2], asked[1, :, 0])
    assert torch.equal(made.quantiser.codebook[5], asked[2, :, 30])
    assert made.quantiser.usage[[2, 5]].tolist() == [1, 1]


def test_half_precision_around_it_changes_no_token() -> None:
    made, z = quantiser(), randn(8, 3, 5, 4)
    plain = made(z)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(made.tokens(z), made.tokens(z))
        shown, cost = made(z)
    assert torch.equal(shown, plain[0])
    assert torch.equal(cost, plain[1])

"""InfoNCE of pictures and captions: by hand, its limits, and what equal captions change."""

import math
from datetime import timedelta
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import Tensor

from sfumato.families.contrasting.pairs import matching, questions

SCALE = torch.tensor(4.0)


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def captions(*numbers: int) -> Tensor:
    """Return a row of tokens for each number."""
    return torch.tensor([[1, 3 + number, 2, 0] for number in numbers])


def test_two_pairs_by_hand() -> None:
    """Pictures at 0 and 90 degrees, captions at 60 and 90, at temperature 1/4."""
    images = torch.tensor([[5.0, 0.0], [0.0, 0.1]])
    texts = torch.tensor([[0.5, math.sqrt(3) / 2], [0.0, 2.0]])
    near, far, wrong, right = (math.exp(4 * cosine) for cosine in (0.5, 0.0, math.sqrt(3) / 2, 1.0))
    forth = -math.log(near / (near + far)), -math.log(right / (right + wrong))
    back = -math.log(near / (near + wrong)), -math.log(right / (right + far))
    expected = torch.tensor([(a + b) / 2 for a, b in zip(forth, back, strict=True)])
    assert torch.allclose(matching(images, texts, captions(0, 1), SCALE), expected, atol=1e-6)  # float32


def test_telling_nothing_apart_costs_the_logarithm_of_the_captions() -> None:
    same = torch.ones(16, 5)
    assert torch.allclose(matching(same, same, captions(*range(16)), SCALE), torch.tensor(math.log(16)))


def test_telling_all_apart_costs_nothing() -> None:
    apart = torch.eye(8)
    assert float(matching(apart, apart, captions(*range(8)), 100 * SCALE).max()) < 1e-12


def test_pictures_and_captions_may_change_places_and_the_examples_their_order() -> None:
    images, texts, tokens = drawn(6, 4), drawn(6, 4, seed=1), captions(0, 1, 2, 1, 3, 4)
    loss = matching(images, texts, tokens, SCALE)
    order = torch.tensor([3, 1, 5, 0, 2, 4])
    assert torch.allclose(matching(texts, images, tokens, SCALE), loss, atol=1e-6)
    assert torch.allclose(matching(images[order], texts[order], tokens[order], SCALE), loss[order], atol=1e-6)
    assert torch.allclose(
        matching(9 * images, texts / 7, tokens, SCALE), loss, atol=1e-6
    )  # only angles count


def test_one_sentence_for_all_leaves_nothing_to_tell() -> None:
    assert matching(drawn(5, 4), drawn(5, 4, seed=1), captions(*[0] * 5), SCALE).tolist() == [0.0] * 5


def test_an_example_with_my_caption_is_no_rival_of_mine() -> None:
    images, texts = drawn(5, 4), drawn(5, 4, seed=1)
    alone = matching(images[:4], texts[:4], captions(0, 1, 2, 3), SCALE)
    beside = matching(images, texts, captions(0, 1, 2, 3, 0), SCALE)
    assert beside[0] == pytest.approx(float(alone[0]), abs=1e-6)
    # To the others it is one more wrong answer.
    assert (beside[1:4] > alone[1:] + 1e-4).all()


def test_nothing_pushes_equal_captions_apart_or_together() -> None:
    images, texts = drawn(4, 3).requires_grad_(), drawn(4, 3, seed=1).requires_grad_()
    loss = matching(images, texts, captions(0, 0, 1, 2), SCALE)
    pulls = torch.autograd.grad(loss[0], (images, texts))
    assert not any(pull[1].any() for pull in pulls)
    assert all(pull[[0, 2, 3]].abs().amax(1).all() for pull in pulls)


def test_padding_or_its_absence_makes_captions_no_different_and_one_word_does() -> None:
    tokens = torch.tensor([[1, 5, 6, 2], [1, 5, 6, 2], [1, 6, 5, 2], [1, 5, 2, 0]])
    similarities, right = questions(drawn(4, 3), drawn(4, 3, seed=1), tokens, SCALE)
    hidden = torch.zeros(4, 4, dtype=torch.bool)
    hidden[0, 1] = hidden[1, 0] = True
    assert torch.equal(similarities.isneginf(), hidden)
    assert right.tolist() == [0, 1, 2, 3]


def test_half_precision_networks_are_compared_in_full() -> None:
    images, texts = drawn(16, 8).bfloat16(), drawn(16, 8, seed=1).bfloat16()
    plain = matching(images.float(), texts.float(), captions(*range(16)), 25 * SCALE)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(matching(images, texts, captions(*range(16)), 25 * SCALE), plain)


def shared() -> tuple[Tensor, Tensor, Tensor]:
    return drawn(8, 5), drawn(8, 5, seed=1), captions(0, 1, 2, 1, 3, 0, 4, 0)


def with_weights(rows: slice) -> tuple[Tensor, Tensor]:
    images, texts, tokens = (part[rows] for part in shared())
    weights = torch.eye(5).requires_grad_()
    losses = matching(images @ weights, texts @ weights, tokens, SCALE)
    losses.mean().backward()
    assert weights.grad is not None
    return losses.detach(), weights.grad


def one_of_two(rank: int, folder: str) -> None:
    store = dist.FileStore(f"{folder}/meeting", 2)
    dist.init_process_group("gloo", store=store, rank=rank, world_size=2, timeout=timedelta(seconds=120))
    try:
        torch.save(with_weights(slice(rank, None, 2)), f"{folder}/{rank}.pt")
    finally:
        dist.destroy_process_group()


def test_two_processes_find_what_one_does(tmp_path: Path) -> None:
    torch.multiprocessing.spawn(one_of_two, (str(tmp_path),), nprocs=2)
    losses, gradient = with_weights(slice(None))
    found = [torch.load(tmp_path / f"{rank}.pt") for rank in range(2)]
    for rank, (mine, _) in enumerate(found):
        assert torch.allclose(mine, losses[rank::2], atol=1e-6)  # float32, in another order
    assert torch.allclose((found[0][1] + found[1][1]) / 2, gradient, atol=1e-6)

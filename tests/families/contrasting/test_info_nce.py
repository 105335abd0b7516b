"""InfoNCE: by hand, its two bounds, its gradient, its symmetries."""

import math

import pytest
import torch
from torch import Tensor

from sfumato.families.contrasting.info_nce import info_nce, nt_xent, paired

ONE = torch.tensor(1.0)


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_two_examples_by_hand() -> None:
    """Views at angles of 0, 90 (first ones), 60 and 90 degrees (second ones), at temperature 1/2."""
    half = math.sqrt(3) / 2
    first = torch.tensor([[3.0, 0.0], [0.0, 0.2]])
    second = torch.tensor([[0.5, half], [0.0, 7.0]])
    e = {name: math.exp(2 * cosine) for name, cosine in {"0": 1, "60": 0.5, "30": half, "90": 0}.items()}
    questions = (
        (e["60"], e["90"], e["90"]),  # the first first view: its partner, then the two others
        (e["0"], e["90"], e["30"]),
        (e["60"], e["30"], e["30"]),
        (e["0"], e["90"], e["30"]),
    )
    asked = [-math.log(right / (right + a + b)) for right, a, b in questions]
    expected = torch.tensor([(asked[0] + asked[2]) / 2, (asked[1] + asked[3]) / 2])
    assert torch.allclose(nt_xent(first, second, 2 * ONE), expected, atol=1e-6)  # float32


def test_telling_nothing_apart_costs_the_logarithm_of_the_candidates() -> None:
    same = torch.ones(16, 5)
    assert torch.allclose(nt_xent(same, same, 30 * ONE), torch.full((16,), math.log(31)), atol=1e-5)
    assert nt_xent(same[:1], same[:1], ONE).tolist() == [0.0]  # one candidate, nothing to tell


def test_telling_all_apart_costs_nothing() -> None:
    apart = torch.eye(8)
    # 14 wrong candidates at exp(−100) each.
    assert float(nt_xent(apart, apart, 100 * ONE).max()) < 1e-12


def test_the_views_may_change_places_and_the_examples_their_order() -> None:
    first, second = drawn(7, 4), drawn(7, 4, seed=1)
    loss = nt_xent(first, second, 5 * ONE)
    order = torch.tensor([3, 1, 6, 0, 2, 5, 4])
    assert torch.allclose(nt_xent(second, first, 5 * ONE), loss, atol=1e-6)
    assert torch.allclose(nt_xent(first[order], second[order], 5 * ONE), loss[order], atol=1e-6)
    assert torch.allclose(nt_xent(3 * first, 0.1 * second, 5 * ONE), loss, atol=1e-6)  # only angles count


def test_the_gradient_is_the_difference_quotient() -> None:
    similarities = drawn(3, 5).requires_grad_()
    positives = torch.tensor([1, 4, 0])
    assert torch.autograd.gradcheck(lambda s: info_nce(s, positives), (similarities,))
    # In closed form: the shares the softmax gives, less one where the right answer is.
    info_nce(similarities, positives).sum().backward()
    right = torch.nn.functional.one_hot(positives, 5)
    assert torch.allclose(similarities.grad, similarities.detach().softmax(1) - right)


def test_the_gradient_draws_partners_together_and_pushes_others_apart() -> None:
    first, second = drawn(6, 4).float().requires_grad_(), drawn(6, 4, seed=1).float()
    before = nt_xent(first, second, 4 * ONE).sum()
    (slope,) = torch.autograd.grad(before, first)
    with torch.no_grad():
        assert nt_xent(first - 0.05 * slope, second, 4 * ONE).sum() < before
        # Only the angle counts, so no gradient goes along the vector itself.
        assert torch.allclose((slope * first).sum(1), torch.zeros(6), atol=1e-5)


def test_what_it_says_of_shared_information_is_never_more_than_there_is() -> None:
    """Two correlated Gaussians in the plane share −log(1 − rho²) nats; the best critic knows their ratio."""
    rho, count, batches = 0.8, 256, 60
    shared, said = -math.log(1 - rho**2), []
    for seed in range(batches):
        a, e = drawn(2, count, 2, seed=seed)
        b = rho * a + math.sqrt(1 - rho**2) * e
        away = (b[None] - rho * a[:, None]).square().sum(2) / (1 - rho**2)
        ratio = 0.5 * (b.square().sum(1)[None] - away) - math.log(1 - rho**2)
        said.append(math.log(count) - float(info_nce(ratio, torch.arange(count)).mean()))
    estimates = torch.tensor(said)
    error = float(estimates.std()) / math.sqrt(batches)
    assert float(estimates.mean()) < shared + 3 * error
    assert float(estimates.mean()) == pytest.approx(shared, abs=0.05)  # with 256 candidates nearly tight


def test_however_sure_it_says_at_most_the_logarithm_of_the_candidates() -> None:
    for scale in (1.0, 10.0, 100.0):
        first = drawn(32, 8)
        loss = nt_xent(first, first + 0.01 * drawn(32, 8, seed=1), scale * ONE)
        assert math.log(63) - float(loss.mean()) <= math.log(63)


def test_rows_know_their_partners_and_not_themselves() -> None:
    similarities, partners = paired(drawn(3, 4), drawn(3, 4, seed=1), ONE)
    assert partners.tolist() == [3, 4, 5, 0, 1, 2]
    assert similarities.diagonal().tolist() == [-math.inf] * 6


def test_half_precision_networks_are_compared_in_full() -> None:
    first, second = drawn(16, 8).bfloat16(), drawn(16, 8, seed=1).bfloat16()
    plain = nt_xent(first.float(), second.float(), 100 * ONE)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(nt_xent(first, second, 100 * ONE), plain)

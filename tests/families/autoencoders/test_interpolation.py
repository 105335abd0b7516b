"""Interpolation: ends are exact, an arc keeps lengths and turns evenly; without one the way is straight."""

import math

import pytest
import torch

from sfumato.families.autoencoders.interpolation import Way, spherical, straight

SHARES = torch.linspace(0, 1, 11)


def codes(*shape: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    both = torch.randn(2, *shape, generator=torch.Generator().manual_seed(seed))
    return both[0], both[1]


@pytest.mark.parametrize("way", [straight, spherical])
@pytest.mark.parametrize("shape", [(2,), (64,), (4, 7, 7)])
def test_both_ends_are_exact(way: Way, shape: tuple[int, ...]) -> None:
    a, b = codes(*shape)
    path = way(a, b, SHARES)
    assert path.shape == (11, *shape)
    assert path.dtype == a.dtype
    assert torch.equal(path[0], a)
    assert torch.equal(path[-1], b)


@pytest.mark.parametrize("way", [straight, spherical])
def test_the_way_back_is_the_same_way(way: Way) -> None:
    a, b = codes(16)
    # Sums in another order: rounding of float32.
    assert torch.allclose(way(a, b, SHARES), way(b, a, 1 - SHARES).float(), atol=1e-5)


def test_the_straight_way_is_the_mean_of_what_lies_around_it() -> None:
    a, b = codes(3, 4)
    path = straight(a.double(), b.double(), SHARES.double())
    assert torch.allclose(path[1:-1], (path[:-2] + path[2:]) / 2, atol=1e-12)


def test_an_arc_keeps_the_length_and_turns_evenly() -> None:
    a, b = (v.double() / v.double().norm() * 5 for v in codes(64))
    path = spherical(a, b, SHARES.double())
    lengths = path.norm(dim=1)
    assert torch.allclose(lengths, torch.full_like(lengths, 5), atol=1e-12)
    turns = torch.arccos((path[:-1] * path[1:]).sum(1) / 25)
    whole = math.acos(float((a * b).sum()) / 25)
    assert torch.allclose(turns, torch.full_like(turns, whole / 10), atol=1e-9)  # arccos doubles digits lost
    # The straight way cuts the corner: halfway it is shorter by the cosine of half the angle.
    middle = float(straight(a, b, torch.tensor([0.5])).norm())
    assert middle == pytest.approx(5 * math.cos(whole / 2), rel=1e-12)


def test_lengths_that_differ_pass_straight_from_one_to_the_other() -> None:
    a, b = (v.double() for v in codes(4, 7, 7))
    b = 3 * b
    lengths = spherical(a, b, SHARES.double()).flatten(1).norm(dim=1)
    assert torch.allclose(lengths, straight(a.norm(), b.norm(), SHARES.double()), atol=1e-12)


@pytest.mark.parametrize("factor", [1.0, 2.5, -1.0, 0.0])
def test_without_an_arc_the_way_is_straight(factor: float) -> None:
    a, _ = codes(8)
    path = spherical(a, factor * a, SHARES)
    assert torch.equal(path, straight(a, factor * a, SHARES))
    assert torch.isfinite(path).all()


def test_just_before_there_is_no_arc_the_way_is_nearly_straight() -> None:
    a, b = (v.double() for v in codes(8))
    near = a + 1e-5 * b
    # An arc of angle w leaves its chord by w²/8 of the length.
    assert torch.allclose(spherical(a, near, SHARES), straight(a, near, SHARES), atol=1e-8)

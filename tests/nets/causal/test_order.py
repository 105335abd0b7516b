"""Orders: what a place is shown is what the module says, and nothing that is not there."""

from collections.abc import Callable

import pytest
import torch
from torch.nn import functional as F

from sfumato.nets.causal.order import UNKNOWN, Order, Raster, Scales, may_look, spans

MAPS = ((1, 1), (2, 2), (3, 3), (4, 6))
ORDERS = [Raster(3, 4), Raster(2, 2, 3), Raster(1, 6), Scales(MAPS)]
every_order = pytest.mark.parametrize("order", ORDERS, ids=repr)


def lettered(order: Order) -> torch.Tensor:
    """Return tables by which the token at place j shows the unit vector j, in every view."""
    length = sum(order.sizes)
    return torch.eye(length).expand(order.views, -1, -1)


@every_order
def test_groups_follow_each_other_and_every_place_lies_somewhere(order: Order) -> None:
    places = spans(order)
    assert [place for span in places for place in range(span.start, span.stop)] == list(
        range(sum(order.sizes))
    )
    at = order.coordinates
    assert at.shape == (sum(order.sizes), len(order.axes))
    assert bool((at >= 0).all())
    assert bool((at < torch.tensor(order.axes)).all())
    assert order.pauses[-1] == len(order.sizes) - 1


def test_no_two_places_of_a_picture_are_one() -> None:
    assert len({tuple(row) for row in Raster(3, 4, 3).coordinates.tolist()}) == 36


def test_a_raster_shows_its_neighbours() -> None:
    order = Raster(3, 3)
    shown = order.shown(torch.arange(9)[None], lettered(order), slice(0, 9))[0]
    assert shown[4].nonzero().flatten().tolist() == [0, 1, 2, 3]
    assert shown[0].abs().sum() == 0
    assert shown[3].nonzero().flatten().tolist() == [0, 1, 2]  # above, and the token before


def test_a_channel_is_shown_those_before_it() -> None:
    order = Raster(1, 2, 3)
    shown = order.shown(torch.arange(6)[None], lettered(order), slice(0, 6))[0]
    assert shown[5].nonzero().flatten().tolist() == [2, 3, 4]  # its left neighbour, and its own red and green


def test_a_scale_is_shown_the_sum_of_all_before_it_in_its_own_size() -> None:
    order = Scales(MAPS)
    values = torch.randn(sum(order.sizes), 3, generator=torch.Generator().manual_seed(0))
    tables = torch.stack([values, torch.zeros_like(values)])
    shown = order.shown(torch.arange(len(values))[None], tables, slice(0, len(values)))[0]
    so_far = torch.zeros(1, 3, *MAPS[-1])
    for (height, width), places in zip(MAPS, spans(order), strict=True):
        wanted = F.adaptive_avg_pool2d(so_far, (height, width))
        found = shown[places].T.unflatten(1, (height, width))
        assert torch.allclose(found, wanted[0], atol=1e-5)
        own = values[places].T.unflatten(1, (height, width))[None]
        so_far = so_far + F.interpolate(own, MAPS[-1], mode="bilinear", align_corners=False)


@every_order
def test_what_is_not_known_shows_nothing(order: Order) -> None:
    length = sum(order.sizes)
    tokens = torch.full((1, length), UNKNOWN)
    assert order.shown(tokens, lettered(order), slice(0, length)).abs().sum() == 0


@every_order
def test_a_part_of_the_places_is_shown_what_it_is_among_all(order: Order) -> None:
    length = sum(order.sizes)
    tokens = torch.arange(length)[None]
    whole = order.shown(tokens, lettered(order), slice(0, length))
    for places in spans(order):
        assert torch.allclose(order.shown(tokens, lettered(order), places), whole[:, places], atol=1e-6)


@every_order
def test_one_may_look_at_ones_own_group_and_back(order: Order) -> None:
    allowed = may_look(order, torch.device("cpu"))
    for number, places in enumerate(spans(order)):
        assert bool(allowed[places, : places.stop].all()), number
        assert not bool(allowed[places, places.stop :].any()), number


@every_order
def test_a_mask_covers_the_area_of_places(order: Order) -> None:
    everything = torch.ones(1, 12, 12, dtype=torch.bool)
    assert torch.equal(order.covered(everything), torch.ones(sum(order.sizes)))
    left = everything.clone()
    left[..., 6:] = False
    # Of every map as much is covered as of the picture.
    for places in spans(order) if isinstance(order, Scales) else [slice(0, None)]:
        assert order.covered(left)[places].mean() == pytest.approx(0.5)


@pytest.mark.parametrize("build", [lambda: Raster(2, 3), lambda: Scales(((1, 1), (2, 2)))])
def test_what_is_remembered_while_sampling_serves_training(build: Callable[[], Order]) -> None:
    order = build()
    length = sum(order.sizes)
    tables = torch.ones(order.views, length, 2, requires_grad=True)
    with torch.inference_mode():
        order.shown(torch.arange(length)[None], tables, slice(0, length))
    order.shown(torch.arange(length)[None], tables, slice(0, length)).sum().backward()
    assert tables.grad is not None

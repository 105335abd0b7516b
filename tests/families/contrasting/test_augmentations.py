"""Augmentations: nothing at strength 0, row by row, and each what it says."""

import math

import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor

from sfumato.families.agreements import DataFacts
from sfumato.families.contrasting.augmentations import (
    Blurred,
    CutOut,
    Lit,
    Moved,
    Noisy,
    Tinted,
    Views,
    usual,
)

STILL = [Moved(0, 0, 0, 0), Tinted(0, 0, 0), Lit(0, 0), Blurred(0), CutOut(0), Noisy(0)]
STRONG = [Moved(mirror=0.5), Tinted(), Lit(), Blurred(), CutOut(), Noisy()]


def named(pieces):  # type: ignore[no-untyped-def]
    return {"argvalues": pieces, "ids": [type(piece).__name__ for piece in pieces]}


def pictures(rows: int = 5, *shape: int) -> Tensor:
    shape = shape or (3, 9, 12)
    return 2 * torch.rand(rows, *shape, generator=torch.Generator().manual_seed(0)) - 1


def numbers(piece, x: Tensor, seed: int = 1) -> Tensor:  # type: ignore[no-untyped-def]
    return piece.draw(len(x), tuple(x.shape[1:]), torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("piece", **named(STILL))
def test_strength_zero_is_the_identity(piece) -> None:  # type: ignore[no-untyped-def]
    x = pictures()
    # Bilinear weights and colours taken apart and put together again round in float32.
    assert torch.allclose(piece(x, numbers(piece, x)), x, atol=2e-6)


@pytest.mark.parametrize("piece", **named(STRONG))
def test_the_usual_strength_changes_every_picture_and_keeps_its_shape(piece) -> None:  # type: ignore[no-untyped-def]
    x = pictures(64, 3, 40, 32)
    changed = piece(x, numbers(piece, x))
    assert changed.shape == x.shape
    # A blur of less than a third of a pixel reaches no neighbour, which is one in three of up to one pixel.
    assert ((changed - x).abs().amax((1, 2, 3)) > 1e-3).float().mean() > 0.6


@pytest.mark.parametrize("piece", **named(STRONG))
def test_a_row_alone_is_that_row_in_a_batch(piece) -> None:  # type: ignore[no-untyped-def]
    x = pictures()
    drawn = numbers(piece, x)
    together = piece(x, drawn)
    for row in range(len(x)):
        assert torch.equal(piece(x[row : row + 1], drawn[row : row + 1])[0], together[row])


@pytest.mark.parametrize("piece", **named(STRONG))
def test_the_generator_decides_and_nothing_else(piece) -> None:  # type: ignore[no-untyped-def]
    x = pictures()
    torch.manual_seed(5)
    first = piece(x, numbers(piece, x))
    torch.manual_seed(6)
    assert torch.equal(piece(x, numbers(piece, x)), first)
    assert not torch.equal(piece(x, numbers(piece, x, seed=2)), first)


def moved(piece: Moved, x: Tensor, **drawn: float) -> Tensor:
    names = ("across", "down", "zoom", "turn", "shear", "flip")
    return piece(x, torch.tensor([[drawn.get(name, 1.0 if name == "flip" else 0.0) for name in names]]))


def test_a_shift_moves_whole_pixels() -> None:
    x = pictures(1, 1, 8, 16)
    shifted = moved(Moved(shift=2 / 16), x, across=1.0)  # two pixels of 16, to the left
    assert torch.allclose(shifted[..., :-2], x[..., 2:], atol=1e-5)  # float32 places times pixels
    assert torch.allclose(shifted[..., -2:], x[..., -1:].expand(1, 1, 8, 2), atol=1e-5)


def test_a_quarter_turn_moves_rows_to_columns_also_in_oblong_pictures() -> None:
    x = pictures(1, 1, 8, 8)
    quarter = moved(Moved(turn=math.pi / 2), x, turn=1.0)
    assert torch.allclose(quarter, x.rot90(1, (2, 3)), atol=1e-5) or torch.allclose(
        quarter, x.rot90(-1, (2, 3)), atol=1e-5
    )
    # In a picture twice as wide, the turned middle square is the square turned.
    wide = pictures(1, 1, 8, 16)
    middle = moved(Moved(turn=math.pi / 2), wide, turn=1.0)[..., 4:12]
    assert torch.allclose(middle, moved(Moved(turn=math.pi / 2), wide[..., 4:12], turn=1.0), atol=1e-5)


def test_a_zoom_in_shows_less_and_a_mirror_the_other_side() -> None:
    x = torch.arange(8.0).expand(1, 1, 8, 8) / 4 - 1
    zoomed = moved(Moved(zoom=math.log(2)), x, zoom=1.0)
    assert torch.allclose(zoomed[..., 1:-1] - zoomed[..., :-2], torch.full((1, 1, 8, 6), 0.125), atol=1e-5)
    assert torch.allclose(moved(Moved(mirror=0.5), x, flip=-0.5), x.flip(3), atol=1e-5)
    assert torch.allclose(moved(Moved(mirror=0.5), x, flip=0.5), x, atol=1e-5)


def test_a_blur_is_scipys() -> None:
    x = pictures(2, 1, 16, 16)
    drawn = torch.tensor([[0.5], [1.0]])
    blurred = Blurred(most=1.5 / 16)(x, drawn)  # half and whole of 1.5 pixels, cut off at 3 pixels
    for row, sigma in enumerate((0.75, 1.5)):
        expected = gaussian_filter(x[row, 0].double().numpy(), sigma, mode="nearest", radius=3)
        assert torch.allclose(blurred[row, 0].double(), torch.from_numpy(expected), atol=1e-6)


def test_colours_turn_about_grey() -> None:
    red = torch.tensor([1.0, -1.0, -1.0])[None, :, None, None] * 0.5
    third = Tinted(hue=2 * math.pi / 3, fade=0, grey=0)
    turned = third(red, torch.tensor([[1.0, 0.0, 0.0]]))
    assert torch.allclose(turned, red.roll(1, 1), atol=1e-6)  # a third of a turn: red becomes green
    assert torch.allclose(turned.mean(1), red.mean(1), atol=1e-6)
    faded = Tinted(hue=0, fade=0, grey=0.2)(red, torch.tensor([[0.0, 0.0, -0.9]]))
    assert torch.allclose(faded, red.mean(1, keepdim=True).expand(1, 3, 1, 1))


def test_the_light_stays_within_bounds() -> None:
    x = pictures(20)
    lit = Lit(0.5, 0.5)(x, numbers(Lit(), x))
    assert lit.min() >= -1
    assert lit.max() <= 1
    assert torch.allclose(Lit(0.2, 0)(x, torch.tensor([[0.5, 0.9]])), (x + 0.1).clamp(-1, 1))


def test_a_cut_out_square_takes_the_mean() -> None:
    x = pictures(1, 1, 10, 10)
    cut = CutOut(most=0.4)(x, torch.tensor([[0.5, 0.5, 1.0]]))
    assert torch.allclose(cut[..., 3:7, 3:7], x.mean().expand(1, 1, 4, 4))
    assert int((cut != x).sum()) == 16


def test_the_usual_choice_goes_by_the_data() -> None:
    grey, colour = usual(DataFacts((1, 28, 28))), usual(DataFacts((3, 32, 32)))
    assert [piece.mirror for piece in (*grey, *colour) if isinstance(piece, Moved)] == [0.0, 0.5]
    assert not any(isinstance(piece, Tinted) for piece in grey)
    assert any(isinstance(piece, Tinted) for piece in colour)
    assert usual(DataFacts((2,), std=2.0)) == (Noisy(0.6),)
    assert usual(DataFacts((1, 8, 8)), mirror=0.3)[0].mirror == 0.3  # type: ignore[attr-defined]


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 9, 11), (3,)])
def test_two_views_of_strength_zero_are_the_example(shape: tuple[int, ...]) -> None:
    x = pictures(4, *shape)
    views = Views(usual(DataFacts(shape), strength=0.0, mirror=0.0))
    drawn = views.draw(4, shape, torch.Generator().manual_seed(0))
    assert torch.allclose(views(x, drawn), torch.cat([x, x]), atol=2e-6)


def test_two_views_differ_and_are_independent_of_the_other_rows() -> None:
    x = pictures(6, 3, 16, 16)
    views = Views(usual(DataFacts((3, 16, 16))))
    drawn = views.draw(6, (3, 16, 16), torch.Generator().manual_seed(0))
    made = views(x, drawn)
    assert not torch.allclose(made[:6], made[6:], atol=0.1)
    some = slice(2, 5)
    part = views(x[some], {name: value[some] for name, value in drawn.items()})
    assert torch.equal(part, torch.cat([made[:6][some], made[6:][some]]))


def test_a_view_does_not_know_how_many_there_are() -> None:
    x, pieces = pictures(), (Moved(), Tinted(), Noisy())
    two, one = Views(pieces), Views(pieces, ("first",))
    draws = two.draw(5, (3, 9, 12), torch.Generator().manual_seed(0))
    only = one.draw(5, (3, 9, 12), torch.Generator().manual_seed(0))
    assert only.keys() == {name for name in draws if name.startswith("first.")}
    assert torch.equal(one(x, draws), two(x, draws)[:5])
    assert torch.equal(one(x, only), one(x, draws))

"""Examples are folded to one pixel and back, whatever their size."""

from math import prod

import pytest
import torch
from torch import nn

from sfumato.errors import ConfigError
from sfumato.nets.scales import Down, Grow, Head, Pointwise, Scales
from sfumato.verify.oracle import randn

SHAPES = [(1, 28, 28), (3, 32, 32), (1, 8, 8), (3, 9, 11), (1, 15, 70), (5,)]
every_shape = pytest.mark.parametrize("shape", SHAPES, ids=str)


@every_shape
@pytest.mark.parametrize("count", [1, 2, 3])
def test_scales_end_at_one_pixel_and_hold_the_whole(shape, count):
    scales = Scales.of(shape, count)
    sides = [scales.side(scale) for scale in range(count)]
    assert len(scales.folds) == count
    assert sides[-1] == 1
    x = randn(2, *shape)
    padded = scales.padded(x)
    assert padded.shape == (2, shape[0], prod(scales.folds), prod(scales.folds))
    assert torch.equal(scales.cropped(padded, shape), x)
    # What is folded without rest is less than one more finest pixel a side.
    assert all(prod(scales.folds) >= side for side in scales.size)


@pytest.mark.parametrize(
    ("shape", "finest"),
    [((1, 28, 28), 7), ((3, 32, 32), 8), ((1, 8, 8), 8), ((3, 64, 64), 8), ((1, 27, 27), 14)],
)
def test_the_finest_scale_has_seven_to_fourteen_pixels(shape, finest):
    assert Scales.of(shape, 2).side(0) == finest


@every_shape
def test_the_way_down_and_up_fit_each_other(shape):
    scales, widths = Scales.of(shape, 3), (8, 6, 4)
    features = Down(scales, widths)(randn(2, *shape).float())
    assert [h.shape for h in features] == [
        (2, width, scales.side(i), scales.side(i)) for i, width in enumerate(widths)
    ]
    h = Grow(4, 6, scales.folds[2])(features[2])
    assert h.shape == features[1].shape
    out = Head(scales, shape, 8, 2)(features[0])
    assert out.shape == (2, 2 * shape[0], *shape[1:])


def test_every_pixel_reaches_the_coarsest_scale():
    scales = Scales.of((1, 9, 11), 3)
    x = randn(1, 1, 9, 11).float().requires_grad_()
    Down(scales, (8, 8, 8))(x)[2].square().sum().backward()
    assert bool((x.grad != 0).all())


def test_a_pointwise_map_is_a_convolution_of_one_pixel():
    pointwise = Pointwise(6, 4).double()
    convolution = nn.Conv2d(6, 4, 1).double()
    convolution.weight.data = pointwise.weight.data[:, :, None, None]
    convolution.bias.data = pointwise.bias.data
    x = randn(2, 6, 5, 3)
    torch.testing.assert_close(pointwise(x), convolution(x))


def test_too_many_scales_are_refused():
    assert Scales.of((1, 8, 8), 4).folds == (1, 2, 2, 2)
    with pytest.raises(ConfigError, match="8×8 have no 5 scales"):
        Scales.of((1, 8, 8), 5)

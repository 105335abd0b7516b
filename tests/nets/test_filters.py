"""Filters: what they make of pictures whose answer is known, and that pairs give them back."""

from itertools import pairwise

import pytest
import torch
from scipy.ndimage import correlate
from torch import Tensor

from sfumato.data import load_data
from sfumato.errors import ConfigError
from sfumato.nets import filters

SOBEL_X, SOBEL_Y = filters.sobel()
KERNELS = {
    "identity": filters.identity(),
    "average": filters.average(),
    "wide average": filters.average(5),
    "Gaussian": filters.gaussian(),
    "wide Gaussian": filters.gaussian(1.5, 7),
    "Sobel x": SOBEL_X,
    "Sobel y": SOBEL_Y,
}
every_kernel = pytest.mark.parametrize("kernel", KERNELS.values(), ids=KERNELS)


def drawn(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


@every_kernel
def test_a_constant_picture_stays_constant_up_to_its_border(kernel: Tensor) -> None:
    made = filters.apply(kernel, torch.full((2, 3, 8, 9), 0.7))
    # The sum of the weights is 1, or 0 for differences; float32 sums of up to 49 terms.
    assert torch.allclose(made, torch.full_like(made, 0.7 * float(kernel.sum().round())), atol=1e-6)


@every_kernel
def test_filters_are_those_of_scipy(kernel: Tensor) -> None:
    x = drawn(2, 3, 9, 11)
    for picture, made in zip(x.flatten(0, 1), filters.apply(kernel, x).flatten(0, 1), strict=True):
        expected = correlate(picture.double().numpy(), kernel.double().numpy(), mode="nearest")
        assert torch.allclose(made.double(), torch.from_numpy(expected), atol=1e-5)  # float32 sums


def test_an_eighth_of_sobel_is_the_slope() -> None:
    ramp = torch.arange(9.0).expand(1, 1, 7, 9) * 3 + torch.arange(7.0)[:, None] * 2
    inner = (..., slice(1, -1), slice(1, -1))
    assert torch.equal(filters.apply(SOBEL_X, ramp)[inner] / 8, torch.full((1, 1, 5, 7), 3.0))
    assert torch.equal(filters.apply(SOBEL_Y, ramp)[inner] / 8, torch.full((1, 1, 5, 7), 2.0))


def test_a_gaussian_is_a_closed_form() -> None:
    kernel = filters.gaussian(0.8, 5)
    assert float(kernel.sum()) == pytest.approx(1, abs=1e-6)  # float32
    # Of two weights, only exp(−r²/(2·sigma²)) is left of the ratio.
    assert float(kernel[2, 3] / kernel[2, 2]) == pytest.approx(float(torch.tensor(-0.5 / 0.64).exp()))
    assert float(kernel[0, 1] / kernel[2, 2]) == pytest.approx(float(torch.tensor(-2.5 / 0.64).exp()))
    assert torch.equal(filters.gaussian(0.0, 5), filters.identity(5))


@every_kernel
def test_200_pairs_give_the_kernel_back(kernel: Tensor) -> None:
    x = load_data("digits").train.batch(torch.arange(200))[0].float() / 127.5 - 1
    found = filters.learned(x, filters.apply(kernel, x), len(kernel))
    # The digits' bowl is up to a few thousand times longer than wide, and magnifies float32 outputs as much.
    assert float((found - kernel).abs().max()) < 1e-5


def test_descent_falls_at_every_step() -> None:
    """The method's law: the error falls until it is at the size of rounding."""
    x = drawn(4, 1, 12, 12)
    y = filters.apply(SOBEL_X, x)
    errors = [float((filters.apply(k, x) - y).square().mean()) for k in filters.descent(x, y, 3)]
    falling = [error for error in errors if error > 1e-11]
    assert len(falling) > 3
    assert all(after < before for before, after in pairwise(falling))
    assert len(errors) <= 2 * 9 + 1


def test_noise_in_the_pairs_leaves_the_best_fit() -> None:
    """With noisy outputs no kernel is exact; descent ends in the least squares solution."""
    x = drawn(3, 2, 10, 10)
    y = filters.apply(KERNELS["average"], x) + 0.1 * drawn(2, 3, 2, 10, 10)[1]
    found = filters.learned(x, y, 3)
    inside = torch.nn.functional.unfold(
        torch.nn.functional.pad(x.reshape(6, 1, 10, 10), (1,) * 4, mode="replicate"), 3
    )
    patches = inside.transpose(1, 2).reshape(-1, 9).double()
    best = torch.linalg.lstsq(patches, y.reshape(-1, 1).double()).solution.reshape(3, 3)
    assert torch.allclose(found.double(), best, atol=1e-6)  # the kernel comes back as float32


def test_empty_pictures_teach_nothing() -> None:
    black = torch.zeros(2, 1, 8, 8)
    assert torch.equal(filters.learned(black, black, 3), torch.zeros(3, 3))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda: filters.average(4), "odd"),
        (lambda: filters.gaussian(-1.0), "sigma"),
        (lambda: filters.learned(torch.ones(1, 1, 8, 8), torch.ones(1, 1, 8, 9), 3), "shape"),
        (lambda: filters.learned(torch.ones(1, 1, 8, 8), torch.ones(1, 1, 8, 8), 2), "odd"),
    ],
)
def test_what_is_no_filter_is_refused(wrong, said: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ConfigError, match=said):
        wrong()

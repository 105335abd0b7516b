"""Filters: the same few weights slid over a picture, chosen by hand or learned back from pairs.

    y[i, j] = Σ over a, b of  k[a, b] · x[i + a − r, j + b − r],     k: (2r + 1, 2r + 1)

This is a *correlation*: the kernel is laid on the picture as it stands, not mirrored, and it is what networks
call a convolution. Beyond its border a picture goes on as its outermost pixels do, so that a constant picture
stays constant under an average and has no edge under a difference. The kernels, in closed form:

    average     k[a, b] = 1 / side²
    Gaussian    k[a, b] = g[a]·g[b],   g[a] ∝ exp(−(a − r)²/(2·sigma²)),   Σ g = 1
    Sobel x     (1, 2, 1)ᵀ · (−1, 0, 1)     smooth down the columns, a difference along the rows

(Sobel & Feldman 1968; an eighth of it is the slope in grey levels a pixel.) The output is linear in the
kernel, so the squared error of pairs (x, y) is a bowl over its weights, and descent finds the kernel wherever
the pictures vary in all its directions.
"""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from sfumato.errors import ConfigError

FLAT = 1e-10
"""The share of the first slope's size at which descent has arrived."""


def identity(side: int = 3) -> Tensor:
    """Return the kernel that leaves a picture as it is: (side, side); `side` is odd."""
    kernel = torch.zeros(_odd(side), side)
    kernel[side // 2, side // 2] = 1
    return kernel


def average(side: int = 3) -> Tensor:
    """Return the kernel of a mean over side×side pixels: (side, side); `side` is odd."""
    return torch.full((_odd(side), side), 1 / side**2)


def bell(sigma: Tensor, reach: int) -> Tensor:
    """Return g of each sigma, in pixels: (..., 2·reach + 1), of sum 1; a sigma of 0 is a single 1."""
    a = torch.arange(-reach, reach + 1, device=sigma.device, dtype=sigma.dtype)
    # A thousandth of a pixel is 0 to every digit: exp(−500 000) vanishes.
    weights = torch.exp(-0.5 * (a / sigma[..., None].clamp(min=1e-3)).square())
    return weights / weights.sum(-1, keepdim=True)


def gaussian(sigma: float = 1.0, side: int = 5) -> Tensor:
    """Return the kernel of a Gaussian blur of `sigma` pixels: (side, side); `side` is odd."""
    if not sigma >= 0:
        raise ConfigError(f"a Gaussian filter's sigma is at least 0 pixels, not {sigma}")
    g = bell(torch.tensor(float(sigma)), _odd(side) // 2)
    return g[:, None] * g


def sobel() -> tuple[Tensor, Tensor]:
    """Return the kernels of differences to the right and downwards, x and y: (3, 3) each."""
    across = torch.tensor([1.0, 2.0, 1.0])[:, None] * torch.tensor([-1.0, 0.0, 1.0])
    return across, across.T.contiguous()


def apply(kernel: Tensor, x: Tensor) -> Tensor:
    """Slide `kernel`: (side, side) over every channel of x: (B, C, H, W); the output has the shape of x."""
    return F.conv2d(_padded(x, len(kernel)), kernel[None, None].to(x)).view_as(x)


def descent(x: Tensor, y: Tensor, side: int) -> Iterator[Tensor]:
    """Yield kernels (side, side), from zero step by step to the one that made `y` of `x`.

    x, y: (B, C, H, W), pictures and what a filter made of them. Pixels beside each other are nearly equal,
    which makes the bowl a hundred to ten thousand times longer than wide, and plain gradient descent as slow.
    Each gradient is therefore made conjugate to those before it and followed to its lowest point (Hestenes &
    Stiefel 1952): without rounding, as many steps as there are weights would do; it ends within twice that.
    """
    if x.shape != y.shape:
        raise ConfigError(f"a filter's output has its input's shape {tuple(x.shape)}, not {tuple(y.shape)}")
    # In float64: where the bowl is longest, rounding is magnified as often as it is longer than wide.
    padded, target = _padded(x.double(), _odd(side)), y.double().reshape(-1, 1, *y.shape[2:])

    def slope(kernel: Tensor) -> Tensor:
        at = kernel.clone().requires_grad_()
        error = (F.conv2d(padded, at) - target).square().mean()
        return torch.autograd.grad(error, at)[0]

    kernel = padded.new_zeros(1, 1, side, side)
    start = slope(kernel)
    downhill = direction = -start
    least = FLAT * start.norm()
    for _ in range(2 * side**2):
        yield kernel[0, 0].float()
        if downhill.norm() <= least:
            return
        bend = slope(direction) - start
        length = downhill.square().sum() / (direction * bend).sum()
        kernel, before, downhill = kernel + length * direction, downhill, downhill - length * bend
        direction = downhill + downhill.square().sum() / before.square().sum() * direction
    yield kernel[0, 0].float()


def learned(x: Tensor, y: Tensor, side: int) -> Tensor:
    """Return the kernel (side, side) in which descent ends, see `descent`."""
    *_, kernel = descent(x, y, side)
    return kernel


def _padded(x: Tensor, side: int) -> Tensor:
    """Return every channel as a picture of its own, its border repeated: (B·C, 1, H + 2r, W + 2r)."""
    return F.pad(x.reshape(-1, 1, *x.shape[2:]), (side // 2,) * 4, mode="replicate")


def _odd(side: int) -> int:
    if side < 1 or side % 2 == 0:
        raise ConfigError(f"a filter has a pixel in its middle: its side is odd and at least 1, not {side}")
    return side

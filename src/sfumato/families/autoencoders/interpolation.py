"""From one example to another: through their codes, along a sphere of codes, or through their pixels.

    straight     (1 − s)·a + s·b
    spherical    |c(s)|·[ sin((1 − s)·w)/sin(w)·a/|a| + sin(s·w)/sin(w)·b/|b| ],  cos(w) = a·b/(|a|·|b|),
                 |c(s)| = (1 − s)·|a| + s·|b|

(Shoemake 1985, "Animating rotation with quaternion curves"; for codes White 2016, "Sampling generative
networks".) Gaussian codes of d numbers have lengths near sqrt(d), and the straight way between two of them
passes through lengths that no code has; the spherical way keeps to them. Decoding the straight way between
codes gives examples on the way; the straight way between pixels shows one example fading into another.
"""

from collections.abc import Callable

import torch
from torch import Tensor

Way = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(a: (...), b: (...), shares: (K,)) -> (K, ...)."""
NEARLY_PARALLEL = 1e-6
"""The sine below which two directions span no circle worth walking."""


def straight(a: Tensor, b: Tensor, shares: Tensor) -> Tensor:
    """Return the points that lie `shares` of the way from a to b, both (...): (K, ...), at 0 and 1 exact."""
    s = shares.to(a).view(-1, *(1 for _ in a.shape))
    return (1 - s) * a + s * b


def spherical(a: Tensor, b: Tensor, shares: Tensor) -> Tensor:
    """Return the points `shares` of the way along the arc from a to b, both (...): (K, ...), ends exact.

    The length passes straight from that of a to that of b. Where a and b are parallel, opposite, or one is
    zero, no arc is the shortest, and the way is straight.
    """
    first, last, s = a.double(), b.double(), shares.double().to(a.device)
    lengths = first.norm(), last.norm()
    product = lengths[0] * lengths[1]
    if product == 0:
        return straight(a, b, shares)
    cosine = ((first * last).sum() / product).clamp(-1, 1)
    angle = torch.arccos(cosine)
    if torch.sin(angle) < NEARLY_PARALLEL:
        return straight(a, b, shares)
    length = (1 - s) * lengths[0] + s * lengths[1]
    of_first = torch.sin((1 - s) * angle) / torch.sin(angle) * (length / lengths[0])
    of_last = torch.sin(s * angle) / torch.sin(angle) * (length / lengths[1])
    weigh = (-1, *(1 for _ in a.shape))
    return (of_first.view(weigh) * first + of_last.view(weigh) * last).to(a.dtype)

"""Sums of multiples of whole batches, Σ factor·x, in as few passes over them as there are terms.

A sampler's step, an estimate and a noisy sample are all such sums. A factor is a plain number where a time
is shared by the batch, and the sum is then made in place, in the one tensor that is returned; or it is one
number a row, as in training.
"""

import torch
from torch import Tensor

from sfumato.diffusion.level import expand

Factor = Tensor | float
"""A number, or one a row: () or (B,) of float64."""


def number(value: Tensor) -> Factor:
    """Return `value`: () as a plain number, or (B,) as it is."""
    return value if value.ndim else float(value)


def per_row(value: Factor, x: Tensor) -> Tensor:
    """Return `value` as one number a row of `x`: (B,), in its precision and on its device."""
    if isinstance(value, Tensor):
        return value.to(x.device, x.dtype).expand(x.shape[0])
    return x.new_full(x.shape[:1], value)


def added(x: Tensor, factor: Factor, y: Tensor) -> Tensor:
    """Return x + factor·y as a new tensor; x, y: (B, ...)."""
    if isinstance(factor, Tensor):
        return torch.addcmul(x, expand(factor, y), y)
    return torch.add(x, y, alpha=factor)


def add_to(total: Tensor, factor: Factor, x: Tensor) -> Tensor:
    """Add factor·x to `total`, which nobody else may hold, and return it; both: (B, ...)."""
    if isinstance(factor, Tensor):
        return total.addcmul_(expand(factor, x), x)
    return total.add_(x, alpha=factor)


def combine(*terms: tuple[Factor, Tensor]) -> Tensor:
    """Return Σ factor·x as a new tensor: (B, ...), in the precision of the first x.

    terms: one or more of (factor, x: (B, ...)). Where a factor is the number 0 its x is not read.
    """
    total: Tensor | None = None
    for factor, x in terms:
        if isinstance(factor, Tensor):
            total = expand(factor, x) * x if total is None else add_to(total, factor, x)
        elif factor != 0:
            total = x * factor if total is None else add_to(total, factor, x)
    return torch.zeros_like(terms[0][1]) if total is None else total

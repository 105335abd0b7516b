"""Derivatives by x_t, and the level at which they still say something.

The gradients that guidance uses fade with the signal, in proportion to alpha, and are divided by alpha to
become a movement of x0: at alpha = 0 that is 0/0, though its limit exists. Levels with less signal than
`LEAST_SIGNAL` are therefore asked about at the one that has it; the limit is missed by about that much.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from sfumato.diffusion.schedules import Schedule, time_of_log_snr

LEAST_SIGNAL = 1e-3
"""The least alpha by which a gradient is divided."""


def with_signal(schedule: Schedule, t: Tensor) -> Tensor:
    """Return `t`: () or (B,), or where it has too little signal the nearest time that has enough."""
    faint = schedule.level(t).alpha < LEAST_SIGNAL
    if not bool(faint.any()):
        return t
    least = torch.full_like(t, 2 * math.log(LEAST_SIGNAL), dtype=torch.float64)
    return torch.where(faint, time_of_log_snr(schedule, least).to(t), t)


@contextmanager
def differentiable(x_t: Tensor) -> Iterator[tuple[Tensor, bool]]:
    """Give `x_t`: (B, ...) as something to differentiate by, also under `torch.no_grad`.

    Beside it: whether a caller differentiates by x_t too, so that what is computed must keep its graph.
    """
    kept = torch.is_grad_enabled() and x_t.requires_grad
    with torch.enable_grad():
        yield (x_t if kept else x_t.detach().requires_grad_()), kept

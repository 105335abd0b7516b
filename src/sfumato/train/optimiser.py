"""The optimiser and the learning rate that fits the budget.

AdamW (Loshchilov & Hutter 2019) with a short linear warm-up and a cosine decay to zero at the budget's end,
so that a run of a minute and one of a day both finish with small steps.
"""

import math
from collections.abc import Iterable

import torch
from torch import nn


def adamw(parameters: Iterable[nn.Parameter], learning_rate: float, weight_decay: float) -> torch.optim.AdamW:
    """Build the optimiser, fused where the machine allows it."""
    return torch.optim.AdamW(
        list(parameters), lr=learning_rate, betas=(0.9, 0.99), weight_decay=weight_decay, fused=True
    )


def learning_rate_scale(step: int, progress: float, warmup: int) -> float:
    """Return the factor of the peak rate at `step` (from 0) and `progress` in [0, 1].

    warmup: steps of linear rise.
    """
    rise = min(1.0, (step + 1) / max(1, warmup))
    return rise * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))

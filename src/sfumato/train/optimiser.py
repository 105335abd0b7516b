"""The optimiser and the learning rate that fits the budget.

AdamW (Loshchilov & Hutter 2019) with a short linear warm-up and a cosine decay to zero at the budget's end,
so that a run of a minute and one of a day both finish with small steps.
"""

import math
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn


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


def moments(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return the optimiser's state by "<number of the parameter>.<name>"."""
    return {
        f"{index}.{name}": value
        for index, state in optimiser.state_dict()["state"].items()
        for name, value in state.items()
    }


def load_moments(optimiser: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Put back what `moments` returned."""
    parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        index, name = key.split(".", 1)
        parameter = parameters[int(index)]
        if value.shape == parameter.shape:
            # The fused step walks memory in order, so a moment must lie as its parameter does.
            value = torch.empty_like(parameter, requires_grad=False).copy_(value)
        state.setdefault(int(index), {})[name] = value
    optimiser.load_state_dict({**optimiser.state_dict(), "state": state})

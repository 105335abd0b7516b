"""Optimisers, and the learning rate that fits the budget.

A rule builds the optimisers of one player's network; several of them share its parameters out among
themselves and move together. AdamW (Loshchilov & Hutter 2019) takes all of them, `train.muon` leaves it what
is no matrix. The rate rises linearly for a short while and falls in a straight line to zero at the end of
the budget (Bergsma et al. 2025, "Straight to zero"), at once or after a flat stretch, so that a run of a
minute and one of a day both finish with small steps:

    rate = peak · min(1, (step + 1)/warmup) · max(min(1, (1 − progress)/(1 − flat)), floor)
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from sfumato.errors import ConfigError

Optimisers = tuple[torch.optim.Optimizer, ...]


class OptimiserRule(Protocol):
    """What a configuration chooses: how a network's weights follow their gradients."""

    def build(self, module: nn.Module) -> Optimisers:
        """Build the optimisers of `module`; each parameter belongs to exactly one."""
        ...


BETAS = (0.9, 0.99)
"""What AdamW keeps of its means of gradients and of their squares: a short memory, because runs are short."""


def adamw(
    parameters: Iterable[nn.Parameter], weight_decay: float, betas: tuple[float, float] = BETAS
) -> torch.optim.AdamW:
    """Build AdamW, whose rate is set at each step."""
    return torch.optim.AdamW(list(parameters), lr=0.0, betas=betas, weight_decay=weight_decay, fused=True)


def check_decay(weight_decay: float) -> None:
    """Refuse a decay that would grow weights or throw them away."""
    if not 0 <= weight_decay < 1:
        raise ConfigError(f"weight_decay must be at least 0 and below 1, not {weight_decay}")


def check_momentum(momentum: float) -> None:
    """Refuse a memory of gradients that would grow, or never take up a new one."""
    if not 0 <= momentum < 1:
        raise ConfigError(f"momentum must be at least 0 and below 1, not {momentum}")


@dataclass(frozen=True)
class AdamW:
    """AdamW for every parameter.

    weight_decay: in [0, 1), multiplied by the learning rate at each step; momentum: beta1, in [0, 1), what is
    kept of the mean of gradients at each step, less where the loss keeps changing, as between two players.
    """

    weight_decay: float = 0.01
    momentum: float = BETAS[0]

    def __post_init__(self) -> None:
        check_decay(self.weight_decay)
        check_momentum(self.momentum)

    def build(self, module: nn.Module) -> Optimisers:
        """Build the one optimiser."""
        return (adamw(module.parameters(), self.weight_decay, (self.momentum, BETAS[1])),)


def learning_rate_scale(
    step: int, progress: float, warmup: int, flat: float = 0.0, floor: float = 0.0
) -> float:
    """Return the factor of the peak rate at `step` (from 0) and `progress` in [0, 1].

    warmup: steps of linear rise; flat: the share of training, in [0, 1), before the straight line down;
    floor: the factor, in [0, 1], at which that line ends, from where it meets it on.
    """
    rise = min(1.0, (step + 1) / max(1, warmup))
    fall = min(1.0, (1 - min(1.0, progress)) / (1 - flat))
    return rise * max(fall, floor)


def take_step(optimisers: Optimisers, rate: float) -> None:
    """Move every parameter at learning rate `rate`, and forget the gradients."""
    for optimiser in optimisers:
        for group in optimiser.param_groups:
            group["lr"] = rate
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)


def moments(optimisers: Sequence[torch.optim.Optimizer]) -> dict[str, Tensor]:
    """Return the optimisers' state by "<number of the optimiser>.<number of the parameter>.<name>"."""
    return {
        f"{place}.{index}.{name}": value
        for place, optimiser in enumerate(optimisers)
        for index, state in optimiser.state_dict()["state"].items()
        for name, value in state.items()
    }


def load_moments(optimisers: Sequence[torch.optim.Optimizer], tensors: Mapping[str, Tensor]) -> None:
    """Put back what `moments` returned."""
    states: list[dict[int, dict[str, Tensor]]] = [{} for _ in optimisers]
    for key, value in tensors.items():
        place, index, name = key.split(".", 2)
        optimiser = optimisers[int(place)]
        parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
        parameter = parameters[int(index)]
        if value.shape == parameter.shape:
            # The fused step walks memory in order, so a moment must lie as its parameter does.
            value = torch.empty_like(parameter, requires_grad=False).copy_(value)
        states[int(place)].setdefault(int(index), {})[name] = value
    for optimiser, state in zip(optimisers, states, strict=True):
        optimiser.load_state_dict({**optimiser.state_dict(), "state": state})

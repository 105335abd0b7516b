"""Averages of the weights over training, which sample better than the last weights do.

The power-function average (Karras et al. 2024, equation 2 and algorithm 2),

    average ← beta·average + (1 − beta)·weights,   beta = (1 − 1/n)^(gamma + 1)  at the n-th update,

looks back over a constant *share* of training: after one step and after a million it spans the last
1/(gamma + 2) or so of them. It needs no warm-up constant, so short runs are not ruined by their start. Only
parameters are averaged; a network keeps no other state.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from sfumato.families.agreements import Player
from sfumato.train.checkpoint import load_into, part
from sfumato.train.events import Event, Stepped

GAMMA = 16.0
"""The average spans about the last 1/18 of training, a relative width of 0.05."""


Weights = tuple[Tensor, ...] | list[Tensor]


def power_average(gamma: float) -> Callable[[Weights, Weights, Tensor | int], None]:
    """Return the update rule above for `AveragedModel`, whose counter starts at 1 when it is called."""

    @torch.no_grad()
    def update(averages: Weights, weights: Weights, updates: Tensor | int) -> None:
        share = 1 - (1 - 1 / (int(updates) + 1)) ** (gamma + 1)
        torch._foreach_lerp_(averages, weights, share)

    return update


def averaged(module: nn.Module, gamma: float = GAMMA) -> AveragedModel:
    """Return a running average of `module`'s parameters that counts its own updates."""
    average = AveragedModel(module, multi_avg_fn=power_average(gamma), use_buffers=False)
    return average.requires_grad_(False).eval()


class Averages:
    """Keeps an average of every player's weights, updated at each of its moves."""

    def __init__(self, players: tuple[Player, ...]) -> None:
        self._players = players
        self.models: dict[str, AveragedModel] = {player.name: averaged(player.module) for player in players}

    def __call__(self, event: Event) -> None:
        """Hear an event."""
        if isinstance(event, Stepped):
            for player in self._players:
                if player.name in event.losses:
                    self.models[player.name].update_parameters(player.module)

    def modules(self) -> dict[str, nn.Module]:
        """Return the averaged networks, by player."""
        return {name: model.module for name, model in self.models.items()}

    def tensors(self) -> dict[str, Tensor]:
        """Return the averages and their counters, by name."""
        return {
            f"{name}.average.{key}": value
            for name, model in self.models.items()
            for key, value in model.state_dict().items()
        }

    def load_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        """Take up where `tensors` left off."""
        for name, model in self.models.items():
            load_into(model, part(tensors, f"{name}.average."), "averaged weights")

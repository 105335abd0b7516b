"""Averages of the weights over training, of several lengths, and the choice among them once it is over.

The power-function average (Karras et al. 2024, equation 2 and algorithm 2)

    average ← beta·average + (1 − beta)·weights,   beta = (1 − 1/n)^(gamma + 1)  at the n-th update,

weighs the weights at time t in proportion to t^gamma, so it looks back over a constant *share* of training
however long that is, and needs no warm-up constant that would ruin short runs. As a distribution over the
share of training done, t^gamma has the standard deviation

    width = (gamma + 1)^½ · (gamma + 2)^−1 · (gamma + 3)^−½        (their relative width, section 3.1)

Which width is best depends on everything else and is seen only afterwards (their section 3.2): a few are
kept, and the one that does best on held-out examples is sampled. Only parameters are averaged; a network
keeps no other state.

Examples that are few and seen too often are learned by heart, and then the loss on others rises again. What
did best so far is therefore kept beside ("early stopping", Prechelt 1998, without the stopping, because
nobody knows on the way whether the loss will turn once more). Of many looks the best is flattered, and the
last weights have had the smallest steps, so it is chosen only where it is better by more than chance.
"""

import copy
import math
from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor, nn

from sfumato.errors import ConfigError
from sfumato.families.agreements import Player
from sfumato.train.checkpoint import load_into, part
from sfumato.train.events import Event, Stepped

WIDTHS = {"long": 0.20, "middle": 0.10, "short": 0.05}
"""The relative widths that are kept, by name."""
SHORTEST = "short"
"""What is sampled where nothing has been compared yet."""
OF_A_GAME = "middle"
"""What is sampled of players whose losses cannot be compared: in a game weights circle, and a longer mean
lies nearer to the middle (Yazıcı et al. 2019)."""

BEST = "best"
"""The shortest average as it was when it did best, by name."""
BEYOND_CHANCE = 2.0
"""Standard errors by which what was kept must beat what there is at the end."""

Networks = Mapping[str, nn.Module]
"""Networks by player."""


def gamma_of(width: float) -> float:
    """Return the gamma of a relative width in (0, 0.28]: the largest root of the equation above, squared."""
    precision = width**-2
    return float(np.roots([1, 7, 16 - precision, 12 - precision]).real.max())


def clearly_less(losses: Tensor, others: Tensor) -> bool:
    """Return whether `losses` have the lower mean by more than chance; both (N,), of the same examples."""
    gain = others - losses
    return bool(gain.mean() > BEYOND_CHANCE * gain.std() / len(gain) ** 0.5)


def share_of_update(n: int, gamma: float) -> float:
    """Return 1 − beta, the share of the new weights in the average at the `n`-th update, from 1 on."""
    return 1 - (1 - 1 / n) ** (gamma + 1)


class Averages:
    """Keeps averages of the weights of every player that is sampled from, updated at each of its moves.

    chosen: the name of the average that is sampled; kept_at: the step after which the best was kept, None
    where nothing was.
    """

    def __init__(self, players: tuple[Player, ...]) -> None:
        self._players = tuple(player for player in players if player.sampled)
        self._updates = {player.name: 0 for player in self._players}
        self._networks = {
            name: {player.name: _copy_of(player.module) for player in self._players} for name in WIDTHS
        }
        self._gammas = {name: gamma_of(width) for name, width in WIDTHS.items()}
        self._best: dict[str, nn.Module] = {}
        self._least = math.inf
        self.kept_at: int | None = None
        self.chosen = self._unchosen

    @property
    def _unchosen(self) -> str:
        return SHORTEST if all(player.compared for player in self._players) else OF_A_GAME

    def __call__(self, event: Event) -> None:
        """Hear an event."""
        if isinstance(event, Stepped):
            for player in self._players:
                if player.name in event.losses:
                    self._follow(player)

    @torch.no_grad()
    def _follow(self, player: Player) -> None:
        self._updates[player.name] += 1
        weights: list[Tensor] = [*player.module.parameters()]
        for name, networks in self._networks.items():
            averages: list[Tensor] = [*networks[player.name].parameters()]
            share = share_of_update(self._updates[player.name], self._gammas[name])
            torch._foreach_lerp_(averages, weights, share)

    def modules(self) -> Networks:
        """Return the networks of the chosen average."""
        return self._best if self.chosen == BEST else self._networks[self.chosen]

    def keep(self, loss: float, step: int) -> None:
        """Keep a copy of what is sampled before anything is chosen, if its `loss` is the lowest so far."""
        if loss < self._least:
            self._least, self.kept_at = loss, step
            self._best = {name: _copy_of(network) for name, network in self._networks[self._unchosen].items()}

    def choose(self, losses: Callable[[Networks], Tensor]) -> None:
        """Choose the average of the lowest mean of `losses`, (N,) of equal examples; of equals the longest.

        What was kept is chosen only where it does clearly better.
        """
        found = {name: losses(networks) for name, networks in self._networks.items()}
        self.chosen = min(found, key=lambda name: float(found[name].mean()))
        if self._best and clearly_less(losses(self._best), found[self.chosen]):
            self.chosen = BEST

    def tensors(self) -> dict[str, Tensor]:
        """Return the averages and the numbers of their updates, by name."""
        found = {f"{player}.updates": torch.tensor(updates) for player, updates in self._updates.items()}
        if self.kept_at is not None:
            found[f"{BEST}.loss"] = torch.tensor(self._least, dtype=torch.float64)
            found[f"{BEST}.step"] = torch.tensor(self.kept_at)
        for name, networks in {**self._networks, BEST: self._best}.items():
            for player, network in networks.items():
                for key, value in network.state_dict().items():
                    found[f"{prefix_of(player, name)}{key}"] = value
        return found

    def load_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        """Take up where `tensors` left off; what was chosen when training was stopped is chosen anew."""
        if f"{BEST}.loss" in tensors:
            self.keep(float(tensors[f"{BEST}.loss"]), int(tensors[f"{BEST}.step"]))
        for name, networks in {**self._networks, BEST: self._best}.items():
            for player, network in networks.items():
                load_average(network, tensors, player, name)
        self._updates = {player: int(tensors[f"{player}.updates"]) for player in self._updates}
        self.chosen = self._unchosen


def _copy_of(module: nn.Module) -> nn.Module:
    return copy.deepcopy(module).requires_grad_(False).eval()


def prefix_of(player: str, name: str) -> str:
    """Return how the names of an average's tensors begin in a checkpoint."""
    return f"{player}.average.{name}."


def load_average(module: nn.Module, tensors: Mapping[str, Tensor], player: str, name: str) -> None:
    """Load the average `name` of a player's weights into `module`.

    Raises ConfigError where there is no such average, RunError where it does not fit.
    """
    kept = [known for known in (*WIDTHS, BEST) if part(tensors, prefix_of(player, known))]
    if name not in kept:
        raise ConfigError(f"no average is called '{name}': choose one of {', '.join(kept)}.")
    load_into(module, part(tensors, prefix_of(player, name)), "averaged weights")

"""The loss on examples that training never sees, with the weights as they are and with their average."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from sfumato.families.agreements import Batch, Trainable
from sfumato.randomness import generator
from sfumato.train.averaging import Averages
from sfumato.train.device import autocast, to_device
from sfumato.train.events import Event, HeldOut, Stepped


class HeldOutLoss:
    """Measures the loss on held-out examples `times` times over the budget, always with the same draws.

    load: (indices) -> batch of held-out examples; examples: how many there are, of which at most `most`
    are used; announce: where the result goes.
    """

    def __init__(
        self,
        family: Trainable,
        averages: Averages,
        load: Callable[[Tensor], Batch],
        examples: int,
        shape: tuple[int, ...],
        device: torch.device,
        precision: str,
        announce: Callable[[Event], None],
        times: int = 10,
        most: int = 256,
    ) -> None:
        self._family, self._averages, self._load, self._announce = family, averages, load, announce
        self._indices = torch.arange(min(examples, most))
        self._shape, self._device, self._precision = shape, device, precision
        self._times, self._next = times, 0

    def __call__(self, event: Event) -> None:
        """Hear an event."""
        if not isinstance(event, Stepped):
            return
        mark = int(event.progress * self._times)
        if mark < self._next:
            return
        self._next = mark + 1
        modules = {player.name: player.module for player in self._family.players()}
        self._announce(HeldOut(event.done, self.loss(modules), self.loss(self._averages.modules())))

    @torch.no_grad()
    def loss(self, modules: Mapping[str, nn.Module], chunk: int = 128) -> float:
        """Return the first player's mean loss with `modules` in its place."""
        player = self._family.with_modules(modules).players()[0]
        total = 0.0
        for number, indices in enumerate(self._indices.split(chunk)):
            draws = self._family.draw(len(indices), self._shape, generator(0, "held-out", number))
            draws = {name: to_device(value, self._device) for name, value in draws.items()}
            with autocast(self._device, self._precision):
                total += float(player.loss(self._load(indices), draws).sum())
        return total / len(self._indices)

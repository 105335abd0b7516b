"""The loss on examples that training never sees, with the weights as they are and with their average.

At the end, and where training is stopped, it also chooses the average: the one with the lowest such loss.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from sfumato.families.agreements import Batch, Trainable
from sfumato.randomness import generator
from sfumato.train.averaging import Averages, Networks
from sfumato.train.budget import Done
from sfumato.train.device import autocast, to_device
from sfumato.train.events import Ended, Event, HeldOut, Stepped


class HeldOutLoss:
    """Measures the loss on held-out examples `times` times over the budget, always with the same draws.

    The last time is the end, whenever it comes. load: (indices) -> batch of held-out examples; examples: how
    many there are, of which `most` are used, drawn once because some data is sorted by class; where there are
    none, nothing is measured or chosen; announce: where the result goes.
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
        self._indices = torch.randperm(examples, generator=generator(0, "held-out examples"))[:most]
        self._shape, self._device, self._precision = shape, device, precision
        self._times, self._next = times, 0

    def __call__(self, event: Event) -> None:
        """Hear an event."""
        if not len(self._indices):
            return
        if isinstance(event, Ended):
            self._averages.choose(self.loss)
            self._measure(event.done)
        elif isinstance(event, Stepped):
            mark = int(event.progress * self._times)
            if self._next <= mark < self._times:
                self._next = mark + 1
                self._measure(event.done)

    def _measure(self, done: Done) -> None:
        self._announce(HeldOut(done, self.loss({}), self.loss(self._averages.modules())))

    @torch.no_grad()
    def loss(self, networks: Networks, chunk: int = 128) -> float:
        """Return the first player's mean loss with `networks` in place of the players' own."""
        modules = {player.name: player.module for player in self._family.players()}
        player = self._family.with_modules({**modules, **networks}).players()[0]
        total = 0.0
        for number, indices in enumerate(self._indices.split(chunk)):
            draws = self._family.draw(len(indices), self._shape, generator(0, "held-out", number))
            draws = {name: to_device(value, self._device) for name, value in draws.items()}
            with autocast(self._device, self._precision):
                total += float(player.loss(self._load(indices), draws).sum())
        return total / len(self._indices)

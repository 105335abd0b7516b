"""The loss on examples that training never sees, with the weights as they are and with their average.

At the end, and where training is stopped, it also chooses the average: the one with the lowest such loss. In
a game between players no loss says how good the model is: there only the family's own measures are taken.
"""

from collections.abc import Callable, Iterator, Mapping

import torch
from torch import Tensor

from sfumato.families.agreements import Batch, Draws, Measured, Trainable
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
            if self._compared:
                self._averages.choose(self.loss)
            self._measure(event.done)
        elif isinstance(event, Stepped):
            mark = int(event.progress * self._times)
            if self._next <= mark < self._times:
                self._next = mark + 1
                self._measure(event.done)

    @property
    def _compared(self) -> bool:
        return self._family.players()[0].compared

    def _measure(self, done: Done) -> None:
        averages = self._averages.modules()
        raw, average = (self.loss({}), self.loss(averages)) if self._compared else (None, None)
        self._announce(HeldOut(done, raw, average, self.measures(averages)))

    @torch.no_grad()
    def loss(self, networks: Networks) -> float:
        """Return the first player's mean loss with `networks` in place of the players' own."""
        player = self._with(networks).players()[0]
        total = 0.0
        for batch, draws in self._batches():
            with autocast(self._device, self._precision):
                total += float(player.loss(batch, draws).sum())
        return total / len(self._indices)

    @torch.no_grad()
    def measures(self, networks: Networks) -> Mapping[str, float]:
        """Return the mean of what the family with `networks` measures of itself, {} where nothing is."""
        family, found = self._with(networks), dict[str, float]()
        if not isinstance(family, Measured):
            return {}
        for batch, draws in self._batches():
            with autocast(self._device, self._precision):
                measured = family.measures(batch, draws)
            share = len(batch.examples) / len(self._indices)
            found = {name: found.get(name, 0.0) + share * value for name, value in measured.items()}
        return found

    def _with(self, networks: Networks) -> Trainable:
        modules = {player.name: player.module for player in self._family.players()}
        return self._family.with_modules({**modules, **networks})

    def _batches(self, chunk: int = 256) -> Iterator[tuple[Batch, Draws]]:
        for number, indices in enumerate(self._indices.split(chunk)):
            draws = self._family.draw(len(indices), self._shape, generator(0, "held-out", number))
            moved = {name: to_device(value, self._device) for name, value in draws.items()}
            yield self._load(indices), moved

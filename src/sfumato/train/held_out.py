"""The loss on examples that training never sees, with the weights as they are and with their average.

At the end, and where training is stopped, it also chooses the average: the one with the lowest such loss. In
a game between players no loss says how good the model is: there only the family's own measures are taken.

Looks are even over the budget, `times` of them: a look costs some of the time, so short trainings take few,
see `looks_in`. Few examples are learned by heart long before the first of those, so until then there are also
looks at steps that grow by half, from when all examples have been seen: 100, 150, 225, …
"""

import math
from collections.abc import Callable, Iterator, Mapping

import torch
from torch import Tensor

from sfumato.families.agreements import Batch, Draws, Measured, Trainable
from sfumato.randomness import generator
from sfumato.train.averaging import BEST, Averages, Networks
from sfumato.train.budget import Budget, Done
from sfumato.train.device import autocast, to_device
from sfumato.train.events import Ended, Event, HeldOut, Notice, Stepped

FIRST, GROWTH = 100, 1.5
"""The step of the first early look at the soonest, and what that of each further one is multiplied by."""
LOOK_EVERY = {"seconds": 12.0, "steps": 50, "images": 3200}
"""What lies between two even looks at least: a look is worth about three steps of 64 images."""
MOST_LOOKS, FEWEST_LOOKS = 10, 2


def looks_in(budget: Budget) -> int:
    """Return how many even looks a budget is worth."""
    return min(MOST_LOOKS, max(FEWEST_LOOKS, int(budget.amount / LOOK_EVERY[budget.of])))


class HeldOutLoss:
    """Measures the loss on held-out examples `times` times over the budget, always with the same draws.

    The last time is the end, whenever it comes. load: (indices) -> batch of held-out examples; examples: how
    many there are, of which `most` are used, drawn once because some data is sorted by class; where there are
    none, nothing is measured or chosen; announce: where the result goes; first: the step of the first early
    look.
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
        times: int = MOST_LOOKS,
        first: int = FIRST,
        most: int = 256,
        chunk: int = 256,
    ) -> None:
        self._family, self._averages, self._load, self._announce = family, averages, load, announce
        self._indices = torch.randperm(examples, generator=generator(0, "held-out examples"))[:most]
        self._shape, self._device, self._precision = shape, device, precision
        self._times, self._looks, self._chunk = times, (-1, 0), chunk
        self._first = first

    def resume(self, progress: float, steps: int) -> None:
        """Take up after so many steps: a look that was due by then was taken then."""
        self._looks = self._due(progress, steps)

    def _due(self, progress: float, steps: int) -> tuple[int, int]:
        """Return how many even looks and how many early ones are due by now."""
        even = min(int(progress * self._times), self._times - 1) if steps else -1
        early = int(math.log(steps / self._first, GROWTH)) + 1 if steps >= self._first and even < 1 else 0
        return even, early

    def __call__(self, event: Event) -> None:
        """Hear an event."""
        if not len(self._indices):
            return
        if isinstance(event, Ended):
            self._choose()
            self._measure(event.done)
        elif isinstance(event, Stepped):
            due = self._due(event.progress, event.done.steps)
            if due > self._looks:
                self._looks = due
                average = self._measure(event.done)
                if average is not None and self._family.players()[0].steady:
                    self._averages.keep(average, event.done.steps)

    @property
    def _compared(self) -> bool:
        return self._family.players()[0].compared

    def _choose(self) -> None:
        if self._compared:
            self._averages.choose(self.losses)
        if self._averages.chosen == BEST:
            self._announce(
                Notice(
                    f"the weights of step {self._averages.kept_at:,} do best on held-out examples and are "
                    "the ones to be used: later ones know the training examples by heart. A shorter budget "
                    "or more examples would do better still"
                )
            )

    def _measure(self, done: Done) -> float | None:
        averages = self._averages.modules()
        raw, average = (self.loss({}), self.loss(averages)) if self._compared else (None, None)
        self._announce(HeldOut(done, raw, average, self.measures(averages)))
        return average

    def loss(self, networks: Networks) -> float:
        """Return the first player's mean loss with `networks` in place of the players' own."""
        return float(self.losses(networks).mean())

    @torch.no_grad()
    def losses(self, networks: Networks) -> Tensor:
        """Return what each example costs the first player likewise: (N,) of float64."""
        player, found = self._with(networks).players()[0], []
        for batch, draws in self._batches():
            with autocast(self._device, self._precision):
                found.append((player.judged or player.loss)(batch, draws).cpu().double())
        return torch.cat(found)

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

    def _batches(self) -> Iterator[tuple[Batch, Draws]]:
        # Parts as large as each other: what a family measures may mean little of a last one of few.
        parts = self._indices.tensor_split(max(1, math.ceil(len(self._indices) / self._chunk)))
        for number, indices in enumerate(parts):
            draws = self._family.draw(len(indices), self._shape, generator(0, "held-out", number))
            moved = {name: to_device(value, self._device) for name, value in draws.items()}
            yield self._load(indices), moved

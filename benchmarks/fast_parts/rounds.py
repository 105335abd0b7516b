"""Timing in turns: A B C A B C …, so that a machine that slows down slows all of them down.

A turn repeats a step until a second has passed; a figure is the median of the turns. Before that everything
is warmed up, compilation included. What cannot run at all says so in its line.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from time import perf_counter

from machine import PRODUCT_FLOPS, factor

TURN = 1.0
"""Seconds a turn takes at least."""
WARM_UP = 3
"""Untimed steps: the first compiles, the others fill caches."""


@dataclass(frozen=True)
class Contestant:
    """Something to be timed: `step` handles `images` images."""

    name: str
    images: int
    step: Callable[[], object]


@dataclass(frozen=True)
class Timed:
    """The median seconds of a step, nan where `failed` says why there are none."""

    name: str
    images: int
    seconds: float
    failed: str = ""

    @property
    def rate(self) -> float:
        """Images a second, nan where it failed."""
        return self.images / self.seconds


def race(contestants: Sequence[Contestant], rounds: int) -> list[Timed]:
    """Time all contestants in turns, in the order given."""
    print(f"  warming up {len(contestants)} contestants", flush=True)
    repeats, failed = {}, {}
    for one in contestants:
        try:
            repeats[one.name] = max(1, math.ceil(TURN / warm(one)))
        except Exception as error:  # a compiler may raise anything, and a peer's failure is a result
            failed[one.name] = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
    seconds: dict[str, list[float]] = {name: [] for name in repeats}
    for number in range(rounds):
        print(f"  round {number + 1} of {rounds}", flush=True)
        for one in contestants:
            if one.name in repeats:
                seconds[one.name].append(turn(one, repeats[one.name]))
    return [
        Timed(one.name, one.images, median(seconds.get(one.name, [math.nan])), failed.get(one.name, ""))
        for one in contestants
    ]


def warm(contestant: Contestant) -> float:
    """Take the untimed steps and return the seconds of the last one."""
    for _ in range(WARM_UP - 1):
        contestant.step()
    return turn(contestant, 1)


def turn(contestant: Contestant, repeats: int) -> float:
    """Return the seconds of a step, over `repeats` of them."""
    start = perf_counter()
    for _ in range(repeats):
        contestant.step()
    return (perf_counter() - start) / repeats


def matrix_product() -> Contestant:
    """Return the product by which the machine itself is measured, to run among the others."""
    a = factor()
    return Contestant("matrix product", 0, lambda: a @ a)


def matrix_rate_in(timed: Sequence[Timed]) -> float:
    """Return the rate of that product, in TFLOP/s, among what was timed."""
    return next(PRODUCT_FLOPS / one.seconds / 1e12 for one in timed if one.name == "matrix product")

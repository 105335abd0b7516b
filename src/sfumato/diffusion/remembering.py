"""What depends on a schedule and one time is computed once and remembered.

A sampler walks the same few times for every batch, and a level, the row of a prediction there and that row's
solution are a few dozen operations on single numbers, each of which takes torch about a microsecond. They
are remembered where one time is shared by a whole batch, t: (), and never where every row has its own.

What is remembered belongs to the pieces: a schedule or a prediction that is equal to another gives the same
numbers, as every frozen dataclass does. One that cannot be hashed is asked every time.
"""

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Any, ParamSpec, TypeVar, cast

import torch
from torch import Tensor

from sfumato.diffusion.level import Level, as_time
from sfumato.diffusion.schedules.base import Schedule

P = ParamSpec("P")
R = TypeVar("R")

MOST = 4096
"""How many results of a function are kept, the latest used: a few megabytes at most."""


def kept(function: Callable[P, R]) -> Callable[P, R]:
    """Let a function of pieces and numbers keep its results, which nobody may change."""

    def compute(*given: P.args, **named: P.kwargs) -> R:
        # What is kept may be used under autograd, which refuses the tensors of an inference mode.
        with torch.inference_mode(False):
            return function(*given, **named)

    known = cast(Callable[P, R], lru_cache(MOST)(compute))

    @wraps(function)
    def recall(*given: P.args, **named: P.kwargs) -> R:
        try:
            return known(*given, **named)
        except TypeError:  # an argument cannot be hashed
            return function(*given, **named)

    return recall


def remembered(function: Callable[P, R]) -> Callable[P, R]:
    """Let a function, whose last argument is a `Level`, keep its results at levels of one time."""
    recall = kept(function)

    @wraps(function)
    def choose(*given: P.args, **named: P.kwargs) -> R:
        level: Any = given[-1]
        return (function if level.t.ndim else recall)(*given, **named)

    return choose


@kept
def shared_time(t: float) -> Tensor:
    """Return `t` as a tensor: () of float64."""
    return as_time(t)


@kept
def _shared_level(schedule: Schedule, t: float) -> Level:
    return schedule.level(t)


def level_at(schedule: Schedule, t: Tensor | float) -> Level:
    """Return `schedule.level(t)`, the very same object each time for one time, t: ()."""
    return schedule.level(t) if isinstance(t, Tensor) and t.ndim else _shared_level(schedule, float(t))

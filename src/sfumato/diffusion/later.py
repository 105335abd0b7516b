"""Fields that are computed when they are first read.

What an estimate says of the noise, or a frame of the clean picture, costs passes over the whole batch, and
many who hold one never look. A field listed by `deferring` may be given as `later(make)`:

    Estimate(x0, later(lambda: (x_t − alpha·x0)/sigma))

`make` runs at the first reading, once, and what it returns is the field from then on. A reader finds what
would have been computed at once: with gradients, or without, as it was then. Whatever `make` closes over must
still be what it was, so nobody in `diffusion` changes a tensor that another may hold.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import torch

T = TypeVar("T")


class AsNow:
    """A function that keeps gradients, whenever it is called, if and only if they were kept at its making.

    What was made in an inference mode but is called outside one returns ordinary tensors, which a caller may
    go on with in place.
    """

    __slots__ = ("function", "gradient", "inference")

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.gradient, self.inference = torch.is_grad_enabled(), torch.is_inference_mode_enabled()

    def __call__(self, *given: Any) -> Any:
        """Run the function."""
        fitting = self.inference or not torch.is_inference_mode_enabled()
        if fitting and torch.is_grad_enabled() is self.gradient:
            return self.function(*given)
        with torch.inference_mode(False), torch.set_grad_enabled(self.gradient):
            return self.function(*given)


class _Later(AsNow):
    """What stands in a deferred field until it is read."""


class _Field:
    """The descriptor behind a deferred field; the value lives in the instance under the field's own name."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, instance: object, owner: type) -> Any:
        if instance is None:
            return self
        values = vars(instance)
        value = values[self.name]
        if type(value) is _Later:
            value = values[self.name] = value()
        return value

    def __set__(self, instance: object, value: object) -> None:
        vars(instance)[self.name] = value


def later(make: Callable[[], T]) -> T:
    """Return a stand-in for `make()`, which only a deferred field may be given."""
    stand_in: Any = _Later(make)
    return stand_in


def deferring(*names: str) -> Callable[[type[T]], type[T]]:
    """Return a decorator of a dataclass, whose fields `names` may be given by `later`."""

    def decorate(cls: type[T]) -> type[T]:
        for name in names:
            setattr(cls, name, _Field(name))
        return cls

    return decorate

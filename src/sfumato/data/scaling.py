"""How examples meet a model, whose arithmetic likes numbers around 0 and 1, and come back.

A scaling belongs to the run: samples are brought back by the very one that training used. `bounds` is what a
sampler may clip to, None where the data has no bounds.
"""

from dataclasses import dataclass
from typing import ClassVar, Protocol

import torch
from torch import Tensor

from sfumato.data.store import Store
from sfumato.errors import ConfigError

_CHUNK = 4096


class Scaling(Protocol):
    """An affine map and its inverse."""

    @property
    def bounds(self) -> tuple[float, float] | None:
        """The least and greatest value that data has on the model's side, or None."""
        ...

    def to_model(self, x: Tensor) -> Tensor:
        """Return examples as the model sees them: float32 of the same shape."""
        ...

    def to_data(self, x: Tensor) -> Tensor:
        """Return the model's values as examples."""
        ...


@dataclass(frozen=True)
class Pixels:
    """Bytes to [-1, 1]: x/127.5 − 1."""

    bounds: ClassVar[tuple[float, float]] = (-1.0, 1.0)

    def to_model(self, x: Tensor) -> Tensor:
        """Return uint8 `x`, (B, C, H, W), as float32 in [-1, 1]."""
        return x.float() / 127.5 - 1.0

    def to_data(self, x: Tensor) -> Tensor:
        """Return `x`, (B, C, H, W), clipped to [-1, 1] and rounded to the nearest of 256 levels, as uint8."""
        return ((x.float().clamp(*self.bounds) + 1.0) * 127.5).round().to(torch.uint8)


@dataclass(frozen=True)
class Standardise:
    """To mean 0 and standard deviation 1 in every coordinate of vectors or channel of maps: (x − mean)/std.

    mean and std: a number for each, std positive. Raises ConfigError otherwise.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    bounds: ClassVar[None] = None

    def __post_init__(self) -> None:
        if len(self.mean) != len(self.std) or not all(std > 0 for std in self.std):
            raise ConfigError(
                f"A scaling needs as many means as positive deviations, not {self.mean} and {self.std}."
            )

    def to_model(self, x: Tensor) -> Tensor:
        """Return `x`, (B, D) or (B, D, H, W), standardised, as float32."""
        x = x.float()
        return (x - _along(self.mean, x)) / _along(self.std, x)

    def to_data(self, x: Tensor) -> Tensor:
        """Return standardised `x`, likewise, in the data's own units, as float32."""
        x = x.float()
        return x * _along(self.std, x) + _along(self.mean, x)


def _along(values: tuple[float, ...], x: Tensor) -> Tensor:
    """Return a number for each channel, to be combined with x: (B, D, ...)."""
    return x.new_tensor(values).view(-1, *[1] * (x.ndim - 2))


def standardise(store: Store) -> Standardise:
    """Measure the mean and (population) standard deviation of vectors; a constant coordinate keeps its scale.

    Sums are float64 and the spread is taken around the mean, so a far offset costs no digits.
    """
    count = len(store)
    chunks = [torch.arange(start, min(start + _CHUNK, count)) for start in range(0, count, _CHUNK)]
    total = torch.stack([store.take(chunk).double().sum(0) for chunk in chunks]).sum(0)
    mean = total / count
    squares = torch.stack([(store.take(chunk).double() - mean).square().sum(0) for chunk in chunks])
    std = (squares.sum(0) / count).sqrt()
    # Rounding alone gives a constant column a spread of some 1e-16 of its value.
    varies = std > 1e-12 * mean.abs()
    return Standardise(tuple(mean.tolist()), tuple(std.where(varies, torch.ones_like(std)).tolist()))

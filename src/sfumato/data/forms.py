"""The form that all pictures of a set are brought to: as the user wishes, else as a sample suggests."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from sfumato.data.found import Pictures
from sfumato.data.pictures import Form, colour
from sfumato.errors import ConfigError, DataError

SMALLEST = 8  # pixels; nets halve pictures, and below this nothing is left to halve
LARGEST_NATIVE = 64
USUAL = 32


@dataclass(frozen=True)
class WantedForm:
    """What the user asks of pictures: a `size` of at least 8, 1 or 3 `channels`; None leaves it to the data.

    Raises ConfigError for another size, number of channels or an unknown background.
    """

    size: int | None
    channels: int | None
    background: str

    def __post_init__(self) -> None:
        if self.size is not None and self.size < SMALLEST:
            raise ConfigError(f"Size {self.size} is too small: give at least {SMALLEST} pixels.")
        if self.channels not in (None, 1, 3):
            raise ConfigError(f"{self.channels} channels: give 1 for grey or 3 for colour.")
        colour(self.background)

    @property
    def is_open(self) -> bool:
        """Whether size and channels are both left to the data."""
        return self.size is None and self.channels is None


def settle(pictures: Pictures, wish: WantedForm) -> Form:
    """Choose the form of `pictures`.

    size: the shorter side, where the headers of up to 256 evenly spaced pictures agree on one of at most 64
    pixels, else 32. channels: 1 where up to 64 evenly spaced pictures are grey in content, else 3.
    Raises DataError where every sampled picture is below 8 pixels on its shorter side.
    """
    sides = [min(size) for size in _sizes(pictures)]
    if sides and max(sides) < SMALLEST:
        raise DataError(
            f"Pictures of {max(sides)} pixels on the shorter side are too small: "
            f"enlarge them to {SMALLEST} or more, or give them as vectors, an array of shape (N, D)."
        )
    native = sides[0] if len(set(sides)) == 1 and sides[0] <= LARGEST_NATIVE else USUAL
    size = wish.size or native
    in_colour = Form(size, 3, colour(wish.background))
    channels = wish.channels or (1 if _all_grey(pictures, in_colour) else 3)
    return Form(size, channels, in_colour.background)


def _spaced(pictures: Pictures, most: int) -> Iterator[int]:
    count = min(most, len(pictures))
    return (place * len(pictures) // count for place in range(count))


def _sizes(pictures: Pictures) -> Iterator[tuple[int, int]]:
    """Yield (width, height) of a sample of those that can be read."""
    for index in _spaced(pictures, 256):
        try:
            yield pictures.size(index)
        except Exception:  # an unreadable picture is named when all are read
            continue


def _all_grey(pictures: Pictures, form: Form) -> bool:
    """Return whether red, green and blue agree in every pixel of a sample, at least one of it readable."""
    seen = False
    for index in _spaced(pictures, 64):
        try:
            red, green, blue = pictures.fit(index, form)
        except Exception:  # an unreadable picture is named when all are read
            continue
        seen = True
        if not (np.array_equal(red, green) and np.array_equal(red, blue)):
            return False
    return seen

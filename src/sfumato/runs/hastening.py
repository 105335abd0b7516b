"""Long requests are sampled by a compiled network, once that is known to agree with the plain one.

A compiled network samples about a quarter faster, after up to a minute of compiling (docs/speed.md), so it is
for requests of which minutes are left. Networks are compiled for chunks of one size: what is left over at the
end of a request is sampled by the plain one. Compilers have returned wrong numbers without a word, so both
take the first step of a chunk; where compilation fails or disagrees, sampling goes on without it and says so.
"""

import warnings
from collections.abc import Callable, Iterator
from itertools import islice
from time import perf_counter

from torch import Tensor

from sfumato.runs.sampling import Chunk, Request, Sampled

WORTH_COMPILING = 180.0
"""Seconds of sampling that are left, from which on a compiled network earns its compilation back."""
TOLERANCE = 0.05
"""Distance allowed between what both ways make of one step, by its own size: of two orders of bf16
arithmetic."""


class Hastened:
    """Walks the chunks of one request, by a compiled network from when that is worth it.

    plain: as it comes; compiled: returns the same with compiled networks, None where there is nothing to
    compile; size: of a whole chunk; say: told why it goes on without; worth: `WORTH_COMPILING`.
    """

    def __init__(
        self,
        plain: Sampled,
        compiled: Callable[[], Sampled] | None,
        size: int,
        say: Callable[[str], None] = warnings.warn,
        worth: float = WORTH_COMPILING,
    ) -> None:
        self._plain, self._compiled = plain, compiled
        self._size, self._say, self._worth = size, say, worth
        self._whole = plain

    def walk(self, request: Request, places: range) -> Iterator[Chunk]:
        """Yield the moments of sampling the images at `places` of a request."""
        start = perf_counter()
        yield from (self._whole if len(places) == self._size else self._plain).walk(request, places)
        left = (request.n - places.stop) / len(places) * (perf_counter() - start)
        if self._compiled is not None and left >= self._worth:
            self._whole, self._compiled = self._checked(self._compiled, request, places), None

    def _checked(self, compiled: Callable[[], Sampled], request: Request, places: range) -> Sampled:
        """Return what is compiled, or the plain one where that fails or disagrees."""
        try:
            fast = compiled()
            right, found = (_guess(way, request, places) for way in (self._plain, fast))
        except Exception as error:  # a compiler may raise anything; sampling must go on
            self._say(f"sampling goes on without compilation: it failed ({type(error).__name__})")
            return self._plain
        off = float((found - right).norm() / right.norm())
        if not off <= TOLERANCE:
            self._say(f"sampling goes on without compilation: the compiled network is off by {off:.0%}")
            return self._plain
        return fast


def _guess(way: Sampled, request: Request, places: range) -> Tensor:
    """Return the clean images expected after one step."""
    (moment,) = islice(way.walk(request, places), 1, 2)
    return moment.moment.guess.double()

"""Long requests are sampled by a compiled network, once that is known to agree with the plain one.

A compiled network samples about a quarter faster, after up to a minute of compiling (docs/speed.md), so it is
for requests of which minutes are left. Networks are compiled for chunks of one size: what is left over at the
end of a request is sampled by the plain one. Compilers have returned wrong numbers without a word, so one
chunk is sampled both ways, to its end; where compilation fails or disagrees, sampling goes on without it and
says so. From then on images are what they would have been up to rounding, as in batches of another size.
"""

import warnings
from collections.abc import Callable, Iterator
from time import perf_counter

import numpy as np

from sfumato.runs.sampling import Chunk, Request, Sampled

WORTH_COMPILING = 300.0
"""Seconds of sampling that are left, of which a compiled network saves the minute that compiling may take."""
TOLERANCE = 0.05
"""Distance allowed between the images of both ways, over their deviation: a few roundings of bf16."""


class Hastened:
    """Walks the chunks of one request, by a compiled network from when that is worth it.

    plain: as it comes; compiled: returns the same with compiled networks, None where there is nothing to
    compile; size: of a whole chunk; say: told why it goes on without; processes: how many share the chunks.
    """

    def __init__(
        self,
        plain: Sampled,
        compiled: Callable[[], Sampled] | None,
        size: int,
        say: Callable[[str], None] = warnings.warn,
        processes: int = 1,
    ) -> None:
        self._plain, self._compiled = plain, compiled
        self._size, self._say, self._processes = size, say, processes
        self._whole = plain

    def walk(self, request: Request, places: range) -> Iterator[Chunk]:
        """Yield the moments of sampling the images at `places` of a request."""
        start = perf_counter()
        way = self._whole if len(places) == self._size else self._plain
        for chunk in way.walk(request, places):
            yield chunk
        if self._compiled is None:
            return
        made = chunk.state  # an accelerator has not sampled anything before somebody looks
        chunks_left = (request.n - places.stop) / len(places) / self._processes
        if chunks_left * (perf_counter() - start) >= WORTH_COMPILING:
            self._whole, self._compiled = self._checked(self._compiled, request, places, made), None

    def _checked(
        self, compiled: Callable[[], Sampled], request: Request, places: range, right: np.ndarray
    ) -> Sampled:
        """Return what is compiled, or the plain one, which made `right`, where that fails or disagrees."""
        try:
            fast = compiled()
            *_, last = fast.walk(request, places)
            off = _distance(last.state, right)
        except Exception as error:  # a compiler may raise anything; sampling must go on
            self._say(f"sampling goes on without compilation: it failed ({type(error).__name__})")
            return self._plain
        if not off <= TOLERANCE:
            self._say(f"sampling goes on without compilation: the compiled network is off by {off:.0%}")
            return self._plain
        return fast


def _distance(found: np.ndarray, right: np.ndarray) -> float:
    """Return the root mean square of the difference over the deviation of what is right."""
    difference = found.astype(np.float64) - right
    return float(np.sqrt(np.square(difference).mean()) / max(right.std(), 1e-12))

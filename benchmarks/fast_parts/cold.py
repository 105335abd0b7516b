"""The child that trains, `sfumato.fit` or `sfumato.distill`, with empty caches; it returns its wall-clock."""

from time import perf_counter

import sfumato
from fast_parts.process import serve


def fit(source: str, out: str, budget: str, seed: int, options: list[str]) -> float:
    """Train on the data at `source` and return the seconds of the whole call."""
    data = sfumato.load_data(source)
    start = perf_counter()
    sfumato.fit(data, out=out, budget=budget, seed=seed, settings=options)
    return perf_counter() - start


def distill(run: str, out: str, budget: str, steps: int) -> float:
    """Distil a run and return the seconds of the whole call."""
    start = perf_counter()
    sfumato.distill(sfumato.open_run(run), out=out, budget=budget, steps=steps)
    return perf_counter() - start


if __name__ == "__main__":
    serve({"fit": fit, "distill": distill})

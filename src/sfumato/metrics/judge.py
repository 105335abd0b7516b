"""The judge: what turns examples into features and reads their classes.

Pictures are judged by a small convolutional network trained once on the training split; vectors are their
own features and are read by their nearest neighbours. Both are a `Judge`, and nothing else in the metrics
knows which one it has. A judge's accuracy on held-out examples belongs to its word: where it reads 3 of 100
real digits wrong, a sampler cannot be faulted for 3 of 100.
"""

from pathlib import Path
from typing import Protocol

from torch import Tensor

from sfumato.data import Dataset
from sfumato.metrics.cache import default_cache_dir
from sfumato.metrics.classifier import Progress, examples_seen, expected_seconds
from sfumato.metrics.picture_judge import kept_judge, picture_judge
from sfumato.metrics.vector_judge import VectorJudge


class Judge(Protocol):
    """What scoring needs to know about examples."""

    @property
    def name(self) -> str:
        """What the judge is, for a person."""
        ...

    @property
    def accuracy(self) -> float | None:
        """Its share of right answers on held-out examples; None where there was nothing to ask."""
        ...

    def features(self, examples: Tensor) -> Tensor:
        """Return features: float64 (N, F)."""
        ...

    def read(self, examples: Tensor) -> Tensor | None:
        """Return the classes read: int64 (N,), or None where the data has no classes to read."""
        ...


def judge_for(
    dataset: Dataset, cache_dir: Path | None = None, progress: Progress | None = None, seed: int = 0
) -> Judge:
    """Return the judge of `dataset`, from the cache or trained now.

    cache_dir: where trained judges are kept, `default_cache_dir()` if None;
    progress: told (pictures seen, pictures to see) while a network is trained.
    """
    if dataset.is_pictures:
        return picture_judge(dataset, cache_dir or default_cache_dir(), seed, progress)
    return VectorJudge(dataset)


def cost(dataset: Dataset, cache_dir: Path | None = None, seed: int = 0) -> str | None:
    """Say what `judge_for` is about to spend; None where it spends next to nothing."""
    if not dataset.is_pictures or kept_judge(dataset, cache_dir or default_cache_dir(), seed) is not None:
        return None
    seen = examples_seen(dataset)
    return (
        f"The judge is trained once on {len(dataset.train):,} pictures ({seen:,} seen, repeats included): "
        f"{_about(expected_seconds(dataset))} on two recent cores, then kept."
    )


def _about(seconds: float) -> str:
    """Return a duration in the words of an estimate."""
    if seconds < 50:
        return f"about {max(5, 5 * round(seconds / 5))} seconds"
    minutes = max(1, round(seconds / 60))
    return "about 1 minute" if minutes == 1 else f"about {minutes} minutes"

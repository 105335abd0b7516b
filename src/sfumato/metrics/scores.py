"""How good are the samples: every figure beside what real examples would score.

    fidelity and variety   the Fréchet distance and its floor      paired.py
    obedience              read as asked, classes covered          reading.py
    novelty                distance to the nearest training        neighbours.py

The figures travel with all it takes to repeat them, and with warnings where they should not be trusted.
"""

from dataclasses import asdict, dataclass
from typing import Any

from torch import Tensor

from sfumato.data import Dataset
from sfumato.errors import ConfigError, DataError
from sfumato.metrics.examples import real_count, require_examples
from sfumato.metrics.judge import Judge
from sfumato.metrics.neighbours import memorisation
from sfumato.metrics.paired import paired_frechet
from sfumato.metrics.reading import reading
from sfumato.metrics.spread import Spread
from sfumato.metrics.table import rounded, table

MOST_COMPARED = 500
WEAK_JUDGE = 0.6


@dataclass(frozen=True)
class Scores:
    """The figures of one evaluation; shares lie in [0, 1], None is "not applicable".

    samples: n; real: examples in both splits; size: m, examples on either side of a Fréchet distance;
    splits, seed: of the shuffles; frechet, floor: squared units of the features; ratio: frechet over floor;
    judge, judge_accuracy: who read the classes, and how well it does on held-out examples;
    read_as_asked, read_per_class, classes_covered, classes_evenness: see `reading`;
    memorisation_ratio, exact_copies, neighbours, distances: see `neighbours`, of the first samples.
    """

    samples: int
    real: int
    size: int
    splits: int
    seed: int
    frechet: Spread
    floor: Spread
    ratio: Spread | None
    judge: str
    judge_accuracy: float | None
    read_as_asked: float | None
    read_per_class: dict[str, float]
    classes_covered: float | None
    classes_evenness: float | None
    memorisation_ratio: float | None
    exact_copies: int
    neighbours: tuple[int, ...]
    distances: tuple[float, ...]
    warnings: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the scores ready for JSON, numbers to six significant digits."""
        return rounded(asdict(self))

    def rows(self) -> list[tuple[str, str]]:
        """Return the scores as a table for a person: (label, value) pairs; warnings stand in `warnings`."""
        return table(self)


def evaluate(
    samples: Tensor,
    asked: Tensor | None,
    dataset: Dataset,
    judge: Judge,
    seed: int = 0,
    splits: int = 5,
    compared: int = 64,
) -> Scores:
    """Score samples against real data.

    samples: uint8 (N, C, H, W) or float32 (N, D), two or more; asked: int64 (N,), the classes asked for, or
    None; judge: of this data set, see `judge_for`; seed, splits: of the shuffles behind the Fréchet distance,
    two or more; compared: how many samples are compared with all training examples, 1 to 500.

    Raises DataError for samples or labels that do not fit the data, ConfigError for a setting out of range.
    """
    _require(samples, dataset, splits, compared)
    frechet = paired_frechet(samples, dataset, judge, seed, splits)
    read = judge.read(samples)
    classes = None if read is None else reading(read, asked, dataset)
    copied = memorisation(samples[:compared], dataset, seed)
    said = [*frechet.warnings(), *_about_judge(judge), *copied.warnings()]
    return Scores(
        samples=len(samples),
        real=real_count(dataset),
        size=frechet.size,
        splits=splits,
        seed=seed,
        frechet=frechet.distance,
        floor=frechet.floor,
        ratio=frechet.ratio,
        judge=judge.name,
        judge_accuracy=judge.accuracy,
        read_as_asked=classes.as_asked if classes else None,
        read_per_class=classes.per_class if classes else {},
        classes_covered=classes.covered if classes else None,
        classes_evenness=classes.evenness if classes else None,
        memorisation_ratio=copied.ratio,
        exact_copies=copied.copies,
        neighbours=copied.indices,
        distances=copied.distances,
        warnings=(*said, *(classes.warnings() if classes else ())),
    )


def _require(samples: Tensor, dataset: Dataset, splits: int, compared: int) -> None:
    require_examples(samples, dataset.shape)
    if len(samples) < 2:
        raise DataError("One sample cannot be scored: a distance between distributions needs at least 2.")
    if splits < 2:
        raise ConfigError(f"splits is {splits}: give at least 2, so that the spread is known.")
    if not 1 <= compared <= MOST_COMPARED:
        raise ConfigError(f"compared is {compared}: give a number from 1 to {MOST_COMPARED}.")


def _about_judge(judge: Judge) -> tuple[str, ...]:
    if judge.accuracy is None or judge.accuracy >= WEAK_JUDGE:
        return ()
    return (f"The judge itself is right on only {judge.accuracy:.0%} of held-out examples: doubt its word.",)

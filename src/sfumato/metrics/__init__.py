"""How good the samples are: distances with their floor, classes read, copies found.

The names load on first use, so that `import sfumato.metrics` alone costs nothing.
"""

from typing import TYPE_CHECKING

from sfumato.lazy import lazily

if TYPE_CHECKING:
    from sfumato.metrics.asking import classes_to_ask
    from sfumato.metrics.cache import default_cache_dir
    from sfumato.metrics.frechet import frechet_between, frechet_distance, gaussian
    from sfumato.metrics.judge import Judge, cost, judge_for
    from sfumato.metrics.neighbours import nearest
    from sfumato.metrics.scores import Scores, evaluate
    from sfumato.metrics.spread import Spread

_HOMES = {
    "Judge": "sfumato.metrics.judge",
    "Scores": "sfumato.metrics.scores",
    "Spread": "sfumato.metrics.spread",
    "classes_to_ask": "sfumato.metrics.asking",
    "cost": "sfumato.metrics.judge",
    "default_cache_dir": "sfumato.metrics.cache",
    "evaluate": "sfumato.metrics.scores",
    "frechet_between": "sfumato.metrics.frechet",
    "frechet_distance": "sfumato.metrics.frechet",
    "gaussian": "sfumato.metrics.frechet",
    "judge_for": "sfumato.metrics.judge",
    "nearest": "sfumato.metrics.neighbours",
}

__all__ = [
    "Judge",
    "Scores",
    "Spread",
    "classes_to_ask",
    "cost",
    "default_cache_dir",
    "evaluate",
    "frechet_between",
    "frechet_distance",
    "gaussian",
    "judge_for",
    "nearest",
]

__getattr__ = lazily(__name__, _HOMES)

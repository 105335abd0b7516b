"""How good the samples are: distances with their floor, classes read, copies found.

The names load on first use, so that `import sfumato.metrics` alone costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sfumato.metrics.cache import default_cache_dir
    from sfumato.metrics.frechet import frechet_between, frechet_distance, gaussian
    from sfumato.metrics.judge import Judge, cost, judge_for
    from sfumato.metrics.neighbours import nearest
    from sfumato.metrics.scores import Scores, evaluate
    from sfumato.metrics.spread import Spread

_HOMES = {
    "Judge": "judge",
    "Scores": "scores",
    "Spread": "spread",
    "cost": "judge",
    "default_cache_dir": "cache",
    "evaluate": "scores",
    "frechet_between": "frechet",
    "frechet_distance": "frechet",
    "gaussian": "frechet",
    "judge_for": "judge",
    "nearest": "neighbours",
}

__all__ = [
    "Judge",
    "Scores",
    "Spread",
    "cost",
    "default_cache_dir",
    "evaluate",
    "frechet_between",
    "frechet_distance",
    "gaussian",
    "judge_for",
    "nearest",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)

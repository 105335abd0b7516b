"""Scores in the shapes that others read: numbers for a file, words for a person."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sfumato.metrics.scores import Scores

SIGNIFICANT = 6


def rounded(value: Any) -> Any:
    """Return nested mappings and sequences with every float to six significant digits, tuples as lists."""
    if isinstance(value, float):
        return float(f"{value:.{SIGNIFICANT}g}")
    if isinstance(value, Mapping):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(item) for item in value]
    return value


def table(scores: "Scores") -> list[tuple[str, str]]:
    """Return labels and values; figures that do not apply are left out."""
    lines = [
        ("samples", f"{scores.samples:,} against {scores.real:,} real examples"),
        (
            "Fréchet distance",
            f"{scores.frechet} ({scores.splits} splits of {scores.size:,}, seed {scores.seed})",
        ),
        ("floor, real against real", str(scores.floor)),
        ("ratio, 1 is as good as real", "not defined" if scores.ratio is None else str(scores.ratio)),
        *_obedience(scores),
        *_novelty(scores),
        ("judge", scores.judge),
    ]
    if scores.judge_accuracy is not None:
        lines.append(("judge's accuracy, held-out", f"{scores.judge_accuracy:.1%}"))
    return lines


def _obedience(scores: "Scores") -> list[tuple[str, str]]:
    lines = []
    if scores.read_as_asked is not None:
        lines.append(("read as asked", f"{scores.read_as_asked:.1%}"))
        worst = min(scores.read_per_class, key=scores.read_per_class.__getitem__)
        lines.append(("read as asked, worst class", f"{scores.read_per_class[worst]:.1%} ({worst})"))
    if scores.classes_covered is not None:
        lines.append(("classes covered, at 10 % of their rate", f"{scores.classes_covered:.0%}"))
    if scores.classes_evenness is not None:
        lines.append(("entropy of the classes read, 1 is even", f"{scores.classes_evenness:.3f}"))
    return lines


def _novelty(scores: "Scores") -> list[tuple[str, str]]:
    compared = f"{len(scores.neighbours):,} samples"
    lines = [("exact copies of training examples", f"{scores.exact_copies:,} of {compared}")]
    if scores.memorisation_ratio is not None:
        lines.append(("distance to training, held-out is 1", f"{scores.memorisation_ratio:.3g} ({compared})"))
    return lines

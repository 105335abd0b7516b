"""A column of a log as a curve against the training step.

A loss is noisy, because every batch meets other noise: its values are drawn faintly and their running mean on
top. What is measured only now and then is drawn as points with a line.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sfumato.train.history import Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST = 600  # points a line keeps, so that a long run's page stays small


@dataclass(frozen=True)
class Curve:
    """One column of a log.

    key: its name there; label: in the legend; words: in a sentence; colour: one of `sfumato.app.plots`.
    """

    key: str
    label: str
    words: str
    colour: str

    def told(self, values: np.ndarray) -> np.ndarray:
        """Return what values: (K,) come to where the eye follows the curve."""
        return values

    def draw(self, axes: "Axes", steps: np.ndarray, values: np.ndarray) -> None:
        """Draw values: (K,) at steps: (K,), as points with a line."""
        kept = thinned(values, _MOST // 8)
        look: dict[str, Any] = {"marker": "o", "markersize": 4.5, "linewidth": 1.3}
        axes.plot(steps[kept], values[kept], color=self.colour, label=self.label, **look)


class NoisyCurve(Curve):
    """One whose running mean says more than its values, which are drawn faintly below it."""

    def told(self, values: np.ndarray) -> np.ndarray:
        """Return the running mean of values: (K,)."""
        return running_mean(values)

    def draw(self, axes: "Axes", steps: np.ndarray, values: np.ndarray) -> None:
        """Draw values: (K,) and their mean at steps: (K,), as lines."""
        look: dict[str, Any] = {"color": self.colour, "solid_capstyle": "round"}
        # A line of one point would not be seen.
        look["marker"] = "o" if len(values) == 1 else ""
        kept, mean = thinned(values, _MOST), running_mean(values)
        axes.plot(steps[kept], values[kept], alpha=0.28, linewidth=0.9, **look)
        kept = thinned(mean, _MOST)
        axes.plot(steps[kept], mean[kept], linewidth=2.0, label=self.label, **look)


def series(rows: Sequence[Row], key: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the steps and values, each (K,) of float64, of the rows where both are finite numbers."""
    pairs = [(row.get("step"), row.get(key)) for row in rows]
    known = [(step, value) for step, value in pairs if step is not None and value is not None]
    table = np.array(known, dtype=np.float64).reshape(-1, 2)
    table = table[np.isfinite(table).all(axis=1)]
    return table[:, 0], table[:, 1]


def running_mean(values: np.ndarray) -> np.ndarray:
    """Return the mean of a window of about a twentieth of the values around each one: (K,).

    Near the start, where a loss falls steeply, the window narrows on both sides alike and does not lag;
    at the end it takes what there is.
    """
    reach = len(values) // 40
    sums = np.concatenate([[0.0], np.cumsum(values)])
    places = np.arange(len(values))
    left = np.minimum(reach, places)
    right = np.minimum(left, len(values) - 1 - places)
    return np.asarray((sums[places + right + 1] - sums[places - left]) / (left + right + 1))


def thinned(values: np.ndarray, most: int) -> np.ndarray:
    """Return the places, in order, of at most `most` values (at least 4): each stretch's lowest and highest.

    The first and the last are always kept, and so is every spike.
    """
    if len(values) <= most:
        return np.arange(len(values))
    stretches = np.array_split(np.arange(len(values)), (most - 2) // 2)
    ends = [stretch[find(values[stretch])] for stretch in stretches for find in (np.argmin, np.argmax)]
    return np.unique([0, *ends, len(values) - 1])

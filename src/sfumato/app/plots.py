"""The loss against the training step, as a line drawing to be laid into a page.

A denoising loss is noisy, because every batch meets other noise levels: the logged values are drawn
faintly and their running mean on top. Held-out losses are points with a line, once with the raw and once
with the averaged weights.

Colours are CSS variables with a fallback, so that the page's light or dark theme is the drawing's too.
"""

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Row = Mapping[str, float | None]

# matplotlib draws in the left colour, the page sees the right one.
_THEME = {
    "#101010": "var(--ink, #24292f)",
    "#202020": "var(--quiet, #69707a)",
    "#303030": "var(--line, #e3e6ea)",
    "#404040": "var(--accent, #2f6db5)",
    "#505050": "var(--warm, #c2571a)",
    "#606060": "var(--green, #2e7d5b)",
}
_INK, _QUIET, _LINE, _ACCENT, _WARM, _GREEN = _THEME
_MOST = 600  # points a line keeps, so that a long run's page stays small


def loss_curve(history: Sequence[Row], held_out_history: Sequence[Row] | None = None) -> str:
    """Draw the loss by step and return an `<svg>` element.

    history: rows with `step` and `loss`; held_out_history: rows with `step` and `held_out_loss` (raw
    weights) or `held_out_loss_average` (averaged weights), by default the rows of `history`. Keys may be
    missing and values None or not finite: those are not drawn, and losses that are not finite are counted
    in a corner.
    """
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    held_out_history = history if held_out_history is None else held_out_history
    figure = Figure(figsize=(9.2, 3.7), facecolor="none", layout="constrained")
    FigureCanvasSVG(figure)
    axes = figure.add_subplot(facecolor="none")
    steps, losses = series(history, "loss")
    smooth = running_mean(losses)
    _draw_line(axes, steps, losses, color=_ACCENT, alpha=0.28, linewidth=0.9)
    _draw_line(axes, steps, smooth, color=_ACCENT, linewidth=2.0, label="training, running mean")
    drawn = [smooth]
    held_out = {
        "held_out_loss": ("held out, raw weights", _WARM),
        "held_out_loss_average": ("held out, averaged weights", _GREEN),
    }
    for key, (label, colour) in held_out.items():
        moments, values = series(held_out_history, key)
        _draw_points(axes, moments, values, color=colour, label=label)
        drawn.append(values)
    _style(axes, np.concatenate([*drawn, losses]))
    _count_missing(axes, sum(_is_broken(row.get("loss")) for row in history))
    return _as_svg(figure)


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


def _draw_line(axes: "Axes", steps: np.ndarray, values: np.ndarray, **look: Any) -> None:
    kept = thinned(values, _MOST)
    marker = "o" if len(values) == 1 else ""  # a line of one point would not be seen
    if len(values):
        axes.plot(steps[kept], values[kept], marker=marker, solid_capstyle="round", **look)


def _draw_points(axes: "Axes", steps: np.ndarray, values: np.ndarray, **look: Any) -> None:
    kept = thinned(values, _MOST // 8)
    if len(values):
        axes.plot(steps[kept], values[kept], marker="o", markersize=4.5, linewidth=1.3, **look)


def _style(axes: "Axes", values: np.ndarray) -> None:
    """Quiet axes: no box, thin lines across, plain numbers; a logarithmic scale over a decade or more."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

    if len(values) and values.min() > 0 and values.max() > 10 * values.min():
        axes.set_yscale("log", subs=[2, 5])
        axes.yaxis.set_minor_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_major_locator(MaxNLocator(nbins="auto", steps=[1, 2, 2.5, 5, 10], integer=True))
    for side in ("left", "right", "top"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(_LINE)
    axes.grid(axis="y", which="both", color=_LINE, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(axis="both", which="both", colors=_QUIET, length=0, labelsize=9.5, pad=5)
    axes.set_xlabel("step", color=_QUIET, fontsize=9.5)
    axes.set_ylabel("loss", color=_QUIET, fontsize=9.5)
    axes.margins(x=0.015)
    if axes.get_legend_handles_labels()[0]:
        # Above the drawing: no loss can run through it, and a narrow screen shows its beginning.
        look = {"frameon": False, "fontsize": 9.5, "labelcolor": _INK, "handlelength": 1.6, "ncols": 3}
        axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), borderaxespad=0.2, **look)


def _count_missing(axes: "Axes", missing: int) -> None:
    if missing:
        text = f"losses that are not finite, and so not drawn: {missing:,}"
        axes.text(0.01, 0.03, text, transform=axes.transAxes, color=_WARM, fontsize=9.5)


def _is_broken(value: float | None) -> bool:
    return value is not None and not np.isfinite(value)


def _as_svg(figure: "Figure") -> str:
    """Return the figure as one `<svg>` element: real text, no prologue, no metadata, the theme's colours."""
    from matplotlib import rc_context

    buffer = io.StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "sfumato"}):
        figure.savefig(buffer, format="svg", metadata=nothing)
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    for drawn, seen in _THEME.items():
        text = text.replace(drawn, seen)
    return text.replace("<svg ", '<svg role="img" aria-label="Loss by training step" ', 1)

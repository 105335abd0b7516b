"""What a log tells against the training step, as a line drawing to be laid into a page.

Colours are CSS variables with a fallback, so that the page's light or dark theme is the drawing's too.
"""

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from sfumato.app.curves import Curve, series
from sfumato.train.history import Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# matplotlib draws in the left colour, the page sees the right one.
_THEME = {
    "#101010": "var(--ink, #24292f)",
    "#202020": "var(--quiet, #69707a)",
    "#303030": "var(--line, #e3e6ea)",
    "#404040": "var(--accent, #2f6db5)",
    "#505050": "var(--warm, #c2571a)",
    "#606060": "var(--green, #2e7d5b)",
    "#707070": "var(--pink, #b5307a)",
}
_INK, _QUIET, _LINE, ACCENT, WARM, GREEN, PINK = _THEME


def line_chart(history: Sequence[Row], curves: Sequence[Curve], name: str) -> str:
    """Draw columns of a log by step and return an `<svg>` element.

    history: rows with `step` and the curves' keys; name: of what goes upwards. Keys may be missing and values
    None or not finite: those are not drawn, and values that are not finite are counted in a corner.
    """
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.2, 3.7), facecolor="none", layout="constrained")
    FigureCanvasSVG(figure)
    axes = figure.add_subplot(facecolor="none")
    seen = []
    for curve in curves:
        steps, values = series(history, curve.key)
        seen.append(values)
        if len(values):
            curve.draw(axes, steps, values)
    _style(axes, np.concatenate(seen), name)
    _count_missing(axes, sum(_is_broken(row.get(curve.key)) for curve in curves for row in history))
    return _as_svg(figure, name)


def _style(axes: "Axes", values: np.ndarray, name: str) -> None:
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
    axes.set_ylabel(name, color=_QUIET, fontsize=9.5)
    axes.margins(x=0.015)
    if axes.get_legend_handles_labels()[0]:
        # Above the drawing: no loss can run through it, and a narrow screen shows its beginning.
        look = {"frameon": False, "fontsize": 9.5, "labelcolor": _INK, "handlelength": 1.6, "ncols": 3}
        axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), borderaxespad=0.2, **look)


def _count_missing(axes: "Axes", missing: int) -> None:
    if missing:
        text = f"values that are not finite, and so not drawn: {missing:,}"
        axes.text(0.01, 0.03, text, transform=axes.transAxes, color=WARM, fontsize=9.5)


def _is_broken(value: float | None) -> bool:
    return value is not None and not np.isfinite(value)


def _as_svg(figure: "Figure", name: str) -> str:
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
    return text.replace("<svg ", f'<svg role="img" aria-label="{name.capitalize()} by training step" ', 1)

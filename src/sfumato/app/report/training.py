"""Which curves a run's log is shown as: the losses, and in a game between players their gradients too.

Of a lone player the loss says how training goes, beside that on held-out examples. In a game neither loss
does, because each side's rises where the other gains: there the two are read together, and with the norms of
the gradients, of which one that fades or grows without end says that its side has stopped, or lost.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle

from sfumato.app.curves import Curve, NoisyCurve, series
from sfumato.app.plots import ACCENT, GREEN, PINK, WARM, line_chart
from sfumato.train.history import GRADIENT_NORM_OF, LOSS_OF, Row, players_of

HELD_OUT = (
    Curve("held_out_loss", "held out, raw weights", "held out with raw weights", WARM),
    Curve("held_out_loss_average", "held out, averaged weights", "held out with averaged weights", GREEN),
)


@dataclass(frozen=True)
class Chart:
    """A drawing as an `<svg>` element, and in words where its curves begin and end."""

    drawing: str
    words: str


def charts(history: Sequence[Row]) -> list[Chart]:
    """Return the drawings of a log: none where it tells nothing, the losses, and a game's gradients."""
    found = (_chart(history, _losses(history), "loss"), _chart(history, _norms(history), "gradient norm"))
    return [chart for chart in found if chart]


def _losses(history: Sequence[Row]) -> list[Curve]:
    players = players_of(history)
    if len(players) == 1:
        alone = NoisyCurve(LOSS_OF + players[0], "training, running mean", "loss in training", ACCENT)
        return [alone, *HELD_OUT]
    return [*_of_each(players, LOSS_OF), *HELD_OUT]


def _norms(history: Sequence[Row]) -> list[Curve]:
    players = players_of(history)
    return _of_each(players, GRADIENT_NORM_OF) if len(players) > 1 else []


def _of_each(players: Sequence[str], what: str) -> list[Curve]:
    named = zip(players, cycle((ACCENT, PINK)), strict=False)
    return [NoisyCurve(what + player, player, what + player, colour) for player, colour in named]


def _chart(history: Sequence[Row], curves: Sequence[Curve], name: str) -> Chart | None:
    told = [words for curve in curves if (words := _words(history, curve))]
    sentence = "; ".join(told)
    drawing = line_chart(history, curves, name) if told else ""
    return Chart(drawing, sentence[:1].upper() + sentence[1:]) if told else None


def _words(history: Sequence[Row], curve: Curve) -> str:
    """Say where a curve begins and ends, "" of one without values."""
    steps, values = series(history, curve.key)
    # Of a single value, the two ends are one.
    ends = dict(zip(steps.tolist(), curve.told(values).tolist(), strict=True))
    told = [f"{ends[step]:.3g} at step {step:,.0f}" for step in dict.fromkeys([*steps[:1], *steps[-1:]])]
    return f"{curve.words} {' and '.join(told)}" if told else ""

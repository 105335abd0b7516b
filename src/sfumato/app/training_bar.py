"""The progress bar of training: losses, speed, time left, and what a person should notice."""

from collections.abc import Mapping
from types import TracebackType

from sfumato.app.console import bar, note
from sfumato.train.budget import Budget
from sfumato.train.events import Event, HeldOut, Notice, Stepped

SMOOTHING = 0.05


class TrainingBar:
    """Listens to training and draws it; use as a context.

    budget: what the bar fills.
    """

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._bar = bar("loss", "held_out", "speed")
        self._task = self._bar.add_task("training", total=1.0, loss="", held_out="", speed="", left=None)
        self._losses: dict[str, float] = {}
        self._before: tuple[float, int] | None = None

    def __enter__(self) -> "TrainingBar":
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def __call__(self, event: Event) -> None:
        """Hear an event."""
        if isinstance(event, Stepped):
            self._stepped(event)
        elif isinstance(event, HeldOut) and event.average is not None:
            self._bar.update(self._task, held_out=f"held out {event.average:.4f}")
        elif isinstance(event, Notice):
            note(event.text)

    def _stepped(self, event: Stepped) -> None:
        self._losses = smoothed(self._losses, event.losses)
        self._before = self._before or (event.done.seconds, event.done.images)
        seconds, images = event.done.seconds - self._before[0], event.done.images - self._before[1]
        self._bar.update(
            self._task,
            completed=event.progress,
            loss=in_words(self._losses),
            speed=f"{images / seconds:,.0f} images/s" if seconds > 0 else "",
            left=self._budget.seconds_left(event.done),
        )


def smoothed(before: Mapping[str, float], losses: Mapping[str, float]) -> dict[str, float]:
    """Return the running mean of each player's loss, of which the ones in `losses` have just moved."""
    kept = dict(before)
    for player, loss in losses.items():
        kept[player] = before[player] + SMOOTHING * (loss - before[player]) if player in before else loss
    return kept


def in_words(losses: Mapping[str, float]) -> str:
    """Return the losses as they are shown: a lone player's without its name."""
    each = [f"{player} {loss:.4f}" if len(losses) > 1 else f"{loss:.4f}" for player, loss in losses.items()]
    return f"loss {', '.join(each)}"

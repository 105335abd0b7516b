"""The progress bar of training: loss, speed, time left, and what a person should notice."""

from types import TracebackType

from sfumato.app.console import bar, console
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
        self._loss: float | None = None
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
            console.print(f"[yellow]note:[/] {event.text}")

    def _stepped(self, event: Stepped) -> None:
        loss = sum(event.losses.values())
        self._loss = loss if self._loss is None else self._loss + SMOOTHING * (loss - self._loss)
        self._before = self._before or (event.done.seconds, event.done.images)
        seconds, images = event.done.seconds - self._before[0], event.done.images - self._before[1]
        self._bar.update(
            self._task,
            completed=event.progress,
            loss=f"loss {self._loss:.4f}",
            speed=f"{images / seconds:,.0f} images/s" if seconds > 0 else "",
            left=self._budget.seconds_left(event.done),
        )

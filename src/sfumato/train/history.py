"""The log of a run: what happened, as rows of numbers."""

import json
from collections.abc import Mapping
from pathlib import Path
from statistics import fmean

from sfumato.files import write_whole
from sfumato.train.budget import Done
from sfumato.train.events import Event, HeldOut, Stepped

COLUMNS = (
    "step",
    "images",
    "seconds",
    "loss",
    "learning_rate",
    "gradient_norm",
    "images_per_second",
    "held_out_loss",
    "held_out_loss_average",
)
"""What every log has; other names are losses of further players, "loss of NAME", and a family's measures."""
LOSS_OF = "loss of "


class History:
    """What happened, as rows of numbers: kept in memory and, line by line as JSON, in a file.

    About `rows` rows are kept over the budget, and each held-out loss gets a row of its own.
    """

    def __init__(self, path: Path, rows: int = 500) -> None:
        self._path, self._share, self._next = path, 1 / rows, 0.0
        self._losses: list[Mapping[str, float]] = []
        self.rows: list[dict[str, float]] = read_history(path)
        self._last = (0.0, 0)

    def resume(self, done: Done) -> None:
        """Forget what happened after the checkpoint that training takes up from."""
        self.rows = [row for row in self.rows if row["step"] <= done.steps]
        write_whole(self._path, "".join(json.dumps(row) + "\n" for row in self.rows).encode())
        self._last = (done.seconds, done.images)

    def __call__(self, event: Event) -> None:
        """Hear an event."""
        if isinstance(event, HeldOut):
            losses = {"held_out_loss": event.raw, "held_out_loss_average": event.average}
            known = {name: value for name, value in losses.items() if value is not None}
            self._add(event.done, {**known, **event.measures})
        elif isinstance(event, Stepped):
            self._losses.append(event.losses)
            if event.progress >= self._next:
                self._add_mean(event)

    def _add_mean(self, event: Stepped) -> None:
        seconds, images = self._last
        elapsed = max(event.done.seconds - seconds, 1e-9)
        self._add(
            event.done,
            {
                **self._mean_losses(),
                "learning_rate": event.learning_rate,
                "gradient_norm": event.gradient_norm,
                "images_per_second": (event.done.images - images) / elapsed,
            },
        )
        self._losses, self._last = [], (event.done.seconds, event.done.images)
        self._next = event.progress + self._share

    def _mean_losses(self) -> dict[str, float]:
        """Return the mean loss of the first player, and of each further one by its name."""
        names = dict.fromkeys(name for losses in self._losses for name in losses)
        means = {name: fmean(losses[name] for losses in self._losses if name in losses) for name in names}
        return {LOSS_OF + name if place else "loss": means[name] for place, name in enumerate(names)}

    def _add(self, done: Done, values: Mapping[str, float]) -> None:
        row = {"step": done.steps, "images": done.images, "seconds": round(done.seconds, 3)}
        row.update({name: float(f"{value:.6g}") for name, value in values.items()})
        self.rows.append(row)
        with self._path.open("a") as file:
            file.write(json.dumps(row) + "\n")


def read_history(path: Path) -> list[dict[str, float]]:
    """Read the rows written so far; a last line cut short by a kill is left out."""
    rows = []
    for line in path.read_text().splitlines() if path.is_file() else []:
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return rows

"""The log of a run: what happened, as rows of numbers.

A row of training holds, of each player that moved since the last such row, the mean of its loss and of its
gradient's norm over those moves.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean

from sfumato.files import write_whole
from sfumato.train.budget import Done
from sfumato.train.events import Event, HeldOut, Stepped

LOSS_OF = "loss of "
GRADIENT_NORM_OF = "gradient norm of "
COLUMNS = (
    "step",
    "images",
    "seconds",
    "learning_rate",
    "images_per_second",
    "held_out_loss",
    "held_out_loss_average",
)
"""What every log has besides "loss of NAME" and "gradient norm of NAME", where NAME is a player's; any other
name is a measure that the family takes of itself."""

Row = Mapping[str, float | None]


class History:
    """What happened, as rows of numbers: kept in memory and, line by line as JSON, in a file.

    About `rows` rows are kept over the budget, and each held-out loss gets a row of its own.
    """

    def __init__(self, path: Path, rows: int = 500) -> None:
        self._path, self._share, self._next = path, 1 / rows, 0.0
        self._steps: list[Stepped] = []
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
            self._steps.append(event)
            if event.progress >= self._next:
                self._add_mean(event)

    def _add_mean(self, event: Stepped) -> None:
        seconds, images = self._last
        elapsed = max(event.done.seconds - seconds, 1e-9)
        self._add(
            event.done,
            {
                **means(LOSS_OF, [step.losses for step in self._steps]),
                **means(GRADIENT_NORM_OF, [step.gradient_norms for step in self._steps]),
                "learning_rate": event.learning_rate,
                "images_per_second": (event.done.images - images) / elapsed,
            },
        )
        self._steps, self._last = [], (event.done.seconds, event.done.images)
        self._next = event.progress + self._share

    def _add(self, done: Done, values: Mapping[str, float]) -> None:
        row = {"step": done.steps, "images": done.images, "seconds": round(done.seconds, 3)}
        row.update({name: float(f"{value:.6g}") for name, value in values.items()})
        self.rows.append(row)
        with self._path.open("a") as file:
            file.write(json.dumps(row) + "\n")


def means(what: str, moves: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the mean of each player's values over the moves it made, by `what` and its name."""
    players = dict.fromkeys(name for move in moves for name in move)
    return {what + name: fmean(move[name] for move in moves if name in move) for name in players}


def players_of(rows: Iterable[Row]) -> list[str]:
    """Return the names of the players whose loss the rows tell, in their order."""
    columns = dict.fromkeys(column for row in rows for column in row)
    return [column.removeprefix(LOSS_OF) for column in columns if column.startswith(LOSS_OF)]


def measures_of(rows: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """Return the last value of each measure that the family took of itself, by its name."""
    last = {name: value for row in rows for name, value in row.items()}
    return {
        name: value
        for name, value in last.items()
        if name not in COLUMNS and not name.startswith((LOSS_OF, GRADIENT_NORM_OF))
    }


def read_history(path: Path) -> list[dict[str, float]]:
    """Read the rows written so far; a last line cut short by a kill is left out."""
    rows = []
    for line in path.read_text().splitlines() if path.is_file() else []:
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return rows

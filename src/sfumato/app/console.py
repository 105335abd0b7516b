"""What a person sees in the terminal: one console, bars with the time left, small tables.

Messages and bars go to the error stream, so that what a verb prints can be piped. In a distributed run only
the first process speaks.
"""

import os
from collections.abc import Callable, Iterable

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TextColumn
from rich.table import Table
from rich.text import Text

speaks = os.environ.get("RANK", "0") == "0"
console = Console(stderr=True, highlight=False, quiet=not speaks)
output = Console(highlight=False, quiet=not speaks, soft_wrap=True)


def clock(seconds: float) -> str:
    """Return a duration as 0:07, 4:31 or 2:03:09."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


class TimeLeft(ProgressColumn):
    """Time left as the task says (`left`), or as rich estimates it."""

    def render(self, task: Task) -> Text:
        """Return the text of the column."""
        left = task.fields.get("left", task.time_remaining)
        return Text(
            "done" if task.finished else f"{clock(left)} left" if left is not None else "…", style="dim"
        )


def bar(*facts: str) -> Progress:
    """Return a progress bar that shows the named fields of its task between the bar and the time left."""
    shown = [TextColumn("{task.fields[" + fact + "]}") for fact in facts]
    return Progress(
        SpinnerColumn(finished_text="[green]✓"),
        TextColumn("{task.description}"),
        BarColumn(bar_width=28),
        TextColumn("{task.percentage:>3.0f} %"),
        *shown,
        TimeLeft(),
        console=console,
        disable=not speaks,
    )


def note(text: str) -> None:
    """Tell what a person should know, and need not do anything about."""
    console.print(f"[yellow]note:[/] {escape(text)}")


def counted(progress: Progress, description: str) -> Callable[[int, int], None]:
    """Return a callback (done, total) that drives a task of `progress`."""
    task = progress.add_task(description, total=None)

    def tell(done: int, total: int) -> None:
        progress.update(task, completed=done, total=total)

    return tell


def facts_table(rows: Iterable[tuple[str, str]]) -> Table:
    """Return a table of two columns, names and values."""
    table = Table(show_header=False, box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style="dim")
    table.add_column()
    for name, value in rows:
        table.add_row(escape(name), escape(value))
    return table

"""What a sampler itself costs a step: the table of `sampler_cost.py`, which can also be run alone."""

from collections.abc import Iterator
from importlib import import_module

from fast_parts.page import Goal, Section
from fast_parts.settings import NotMeasuredError, Settings

COLUMN = "µs a step"


def measure(settings: Settings) -> Section:
    """Return the table of `sampler_cost.table()`, and its dearest entry as a goal."""
    try:
        cost = import_module("sampler_cost")
    except ModuleNotFoundError as error:
        raise NotMeasuredError("there is no sampler_cost.py in this folder") from error
    text: str = cost.table()
    microseconds, sampler = max(costs(text))
    goal = Goal(
        "the sampler's own cost of a step, 64×1×28×28, the dearest of all",
        "≤ 60 µs",
        f"{microseconds:.0f} µs ({sampler})",
        microseconds <= 60,
    )
    return Section("Sampler cost", text, (goal,))


def costs(table: str) -> Iterator[tuple[float, str]]:
    """Yield (microseconds a step, sampler) of every such cell of the Markdown table."""
    head, _, *rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in table.splitlines()
        if line.startswith("|")
    ]
    for row in rows:
        for title, cell in zip(head, row, strict=True):
            if title.endswith(COLUMN) and cell != "–":
                yield float(cell), row[0]

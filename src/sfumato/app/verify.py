"""What `sfumato verify` does: run the laws, show how far, and print tables that a person can read."""

import json
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from sfumato.app.console import bar, clock, console, output
from sfumato.verify.law import Finding
from sfumato.verify.run import Task, chosen_tasks, findings, where
from sfumato.verify.samplers import COUNTS
from sfumato.verify.theory import THEORY

WIDTH = 120
CAPTION = (
    "order: measured/theory, — where there is none. 5 … 50: the error of the end point, or of the law where "
    "noise is drawn (W2), after at most so many evaluations, — where it never comes to the data's law. "
    "statistics: the largest difference of a mean or covariance ± its standard error; refused: as it should."
)
GOOD, BAD = "[green]✓[/]", "[bold red]✗[/]"


def prove(only: str | None, every: bool, as_json: bool, plots: Path | None, processes: int) -> bool:
    """Run the laws that `only` picks, print them, and return whether all passed."""
    tasks, began = chosen_tasks(only), time.monotonic()
    found = sorted(watched(tasks, processes), key=lambda f: (f.kind, *f.pieces.values(), f.law))
    failed = [finding for finding in found if not finding.passed]
    seconds = time.monotonic() - began
    if as_json:
        print(json.dumps(report(found, seconds), indent=1, allow_nan=False))
    else:
        show(found, every)
    for finding in failed:
        console.print(f"{BAD} {escape(str(finding))}")
        console.print(f"  look at {', '.join(where(finding)) or 'sfumato.diffusion'}", style="dim")
    verdict = f"{BAD} {len(failed):,} of {len(found):,} laws failed" if failed else f"{GOOD} all laws hold"
    console.print(f"{verdict}: {len(found):,} findings in {clock(seconds)}")
    if plots is not None:
        draw(plots)
    return not failed


def watched(tasks: Sequence[Task], processes: int) -> Iterator[Finding]:
    """Yield the findings of all tasks, with a bar."""
    with bar() as progress:
        task = progress.add_task(f"{len(tasks):,} groups of laws", total=len(tasks))
        for group in findings(tasks, min(processes, len(tasks))):
            progress.advance(task)
            yield from group


def draw(folder: Path) -> None:
    """Draw the lectures' demonstrations."""
    from sfumato.app.lecture_plots import draw_all

    for path in draw_all(folder):
        console.print(f"drew {path}")


def report(found: Sequence[Finding], seconds: float) -> dict[str, object]:
    """Return everything as plain values."""
    return {
        "passed": all(finding.passed for finding in found),
        "seconds": round(seconds, 1),
        "theory": {name: {"order": row.order, "source": row.why} for name, row in THEORY.items()},
        "findings": [finding.to_dict() for finding in found],
    }


def show(found: Sequence[Finding], every: bool) -> None:
    """Print the table of samplers, that of the likelihoods, and one row for each other group of laws."""
    # A pipe has no width of its own, and rows that are cut say nothing.
    wide = Console(highlight=False, width=max(output.width, WIDTH))
    walks = [f for f in found if f.kind in ("sampler", "triple")]
    if walks:
        wide.print(sampler_table(walks, every))
    likelihoods = [f for f in found if f.kind == "likelihood"]
    if likelihoods:
        wide.print(likelihood_table(likelihoods))
    others = [f for f in found if f.kind not in ("sampler", "triple", "likelihood")]
    if others:
        wide.print(law_table(others))


def plain(title: str, caption: str = "") -> Table:
    """Return an empty table of quiet lines."""
    return Table(
        title=title,
        title_justify="left",
        caption=caption,
        caption_justify="left",
        box=SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )


def mark(found: Sequence[Finding]) -> str:
    """Return a sign that says whether all passed."""
    return GOOD if all(finding.passed for finding in found) else BAD


def by_names(found: Sequence[Finding], *kinds: str) -> dict[tuple[str, ...], list[Finding]]:
    """Group findings by the names of their pieces of some kinds."""
    groups = defaultdict(list)
    for finding in found:
        groups[tuple(finding.pieces.get(kind, "") for kind in kinds)].append(finding)
    return groups


def sampler_table(found: Sequence[Finding], every: bool) -> Table:
    """Return a row for each schedule and sampler, or with `every` for each prediction as well."""
    table = plain("schedule × prediction × sampler", CAPTION)
    for name in ("schedule", "sampler", "predicts", "order", *map(str, COUNTS), "statistics", ""):
        # No figure is cut short: what does not fit is the terminal's to wrap.
        table.add_column(
            name, justify="right" if name.isdigit() else "left", no_wrap=True, min_width=max(len(name), 5)
        )
    for (schedule, sampler), group in by_names(found, "schedule", "sampler").items():
        triples = [f for f in group if f.kind == "triple"]
        laws = [f for f in group if f.kind == "sampler"]
        if not triples and any("refused" in f.law for f in laws):
            table.add_row(schedule, sampler, "refused", *["—"] * (len(COUNTS) + 2), mark(laws))
            continue
        cells = walk_cells(laws, sampler)
        if every:
            for triple in triples:
                prediction = triple.pieces["prediction"]
                table.add_row(schedule, sampler, prediction, *cells, mark([triple, *laws]))
        else:
            passed = f"{sum(f.passed for f in triples)}/{len(triples)}"
            table.add_row(schedule, sampler, passed, *cells, mark(group))
    return table


def walk_cells(laws: Sequence[Finding], sampler: str) -> list[str]:
    """Return the order, the errors and the statistics of one walk."""
    by_law = {finding.law.split(",")[0].split(" at ")[0]: finding for finding in laws}
    order, errors = by_law.get("order"), by_law.get("error")
    statistics = by_law.get("mean and covariance")
    shown = f"{order.measured:.2f}/{order.expected:g}" if order else "—"
    cells = [shown if not order or order.passed else f"[red]{shown}[/]"]
    # What a sampler of its own law is off the data's is no error.
    sizes = errors.details if errors and THEORY[sampler].accuracy < float("inf") else {}
    cells += [short(sizes[f"error {n}"]) if sizes else "—" for n in COUNTS]
    if statistics is None:
        return [*cells, "its own law" if "the chain's own law" in by_law else "—"]
    numbers = statistics.details
    return [*cells, f"{numbers['largest_difference']:.2f} ± {numbers['standard_error']:.2f}"]


def short(value: float) -> str:
    """Return a size in five characters."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"[:5] if value >= 1e-3 else f"{value:.0e}"


def likelihood_table(found: Sequence[Finding]) -> Table:
    """Return the flow's likelihoods and the bound's, against the exact ones."""
    table = plain(title="likelihood on a mixture of ten Gaussians, in bits per dimension")
    for name in ("schedule", "by", "law", "measured", "allowed", ""):
        table.add_column(name)
    for f in found:
        by = f.pieces.get("trace", "bound")
        measured = f"{f.measured:.4f}"
        if "bound" in f.details:
            measured = f"{f.details['bound']:.3f}, exact {f.details['exact']:.3f}"
        table.add_row(f.pieces.get("schedule", ""), by, f.law, measured, f"{f.tolerance:.4f}", mark([f]))
    return table


def law_table(found: Sequence[Finding]) -> Table:
    """Return a row for each law: how often it was asked, and how near it came to failing."""
    table = plain(title="everything else", caption="worst: measured difference over the allowed one.")
    for name in ("of", "law", "asked", "passed", "worst", ""):
        table.add_column(name)
    groups = defaultdict(list)
    for finding in found:
        groups[finding.kind, finding.law].append(finding)
    for (kind, law), group in groups.items():
        used = [abs(f.measured - f.expected) / f.tolerance for f in group if f.tolerance]
        worst = f"{max(used):.2g}" if used else "—"
        table.add_row(
            kind, escape(law), str(len(group)), str(sum(f.passed for f in group)), worst, mark(group)
        )
    return table

"""What `sfumato fit-grid` does: search with a bar, keep the grid with the run, and say what it is worth."""

from typing import Any

from sfumato.app.console import bar, counted, output
from sfumato.app.scoring import one_process
from sfumato.app.training import read_for
from sfumato.runs.grids import GRIDS, arguments, fit_run_grid, needs_examples
from sfumato.runs.run import Run


def fit_and_keep(run: Run, trajectories: int, seed: int, **options: Any) -> None:
    """Fit a grid for `run` and print its error beside that of the run's own grid."""
    one_process("fit-grid")
    dataset = read_for(run, None) if needs_examples(run) else None
    with bar() as progress:
        told = counted(progress, "fitting the grid")
        kept = fit_run_grid(run, trajectories, seed, told, dataset=dataset, **options)
    name = kept.sampler["name"]
    output.print(
        f"{name} at {kept.steps} steps, median distance from the exact path's end on {trajectories} other "
        f"starts: {kept.default_error:.4g} on the default grid, {kept.error:.4g} on the fitted one"
    )
    output.print(
        f"kept in {run.folder / GRIDS}; to use it: "
        f"sfumato sample {run.folder} {arguments(*kept.way)} --grid fitted"
    )

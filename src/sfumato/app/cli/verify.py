"""`sfumato verify`: prove the mathematics of diffusion on this machine."""

from pathlib import Path
from typing import Annotated

import typer


def verify(
    every: Annotated[
        bool, typer.Option("--all", help="A row for every schedule, prediction and sampler.")
    ] = False,
    only: Annotated[
        str | None,
        typer.Option(help="Only this schedule, sampler or group of laws: heun, process, 'sampler * ddim'."),
    ] = None,
    plots: Annotated[
        Path | None, typer.Option(help="Draw the lectures' demonstrations into this folder as well.")
    ] = None,
    processes: Annotated[int, typer.Option(min=1, help="How many processes share the work.")] = 2,
    as_json: Annotated[bool, typer.Option("--json", help="Print every finding as JSON.")] = False,
) -> None:
    """Hold every piece of diffusion against an exact answer, and print what was measured.

    The data is a mixture of Gaussians, of which everything is known. Exit code 1 says that a law failed; it
    is named, with the module to look at.

    Example: [bold]sfumato verify --only heun[/]
    """
    from sfumato.app.verify import prove

    raise typer.Exit(0 if prove(only, every, as_json, plots, processes) else 1)

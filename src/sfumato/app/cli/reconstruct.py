"""`sfumato reconstruct`: what is left of an example behind its code."""

from pathlib import Path
from typing import Annotated

import typer

from sfumato.app.cli.options import RunFolder


def reconstruct(
    run: RunFolder,
    data: Annotated[
        str | None,
        typer.Argument(metavar="DATA", help="Whose held-out examples \\[default: those of RUN's own data]."),
    ] = None,
    n: Annotated[int, typer.Option("-n", "--number", min=1, help="How many to measure.")] = 1000,
    shown: Annotated[int, typer.Option(min=1, help="How many pictures to show.")] = 20,
    out: Annotated[Path | None, typer.Option(help="A .png \\[default: RUN/reconstructions.png].")] = None,
) -> None:
    """Encode and decode held-out examples by RUN: draw each above what was rebuilt, and print the error.

    Example: [bold]sfumato reconstruct runs/codes --out pairs.png[/]
    """
    from sfumato.app.reconstructing import reconstruct_to
    from sfumato.runs.run import Run

    reconstruct_to(Run.open(run), data, n, shown, out or run / "reconstructions.png")

"""`sfumato interpolate`: from one example to another."""

from pathlib import Path
from typing import Annotated

import typer

from sfumato.app.cli.options import RunFolder

End = Annotated[str, typer.Argument(help="A picture file, or the number of an example of RUN's data.")]


def interpolate(
    run: RunFolder,
    a: End,
    b: End,
    steps: Annotated[int, typer.Option(min=2, help="Examples on the way, both ends included.")] = 11,
    out: Annotated[
        Path | None, typer.Option(help=".png (a row for each way) or .gif \\[default: RUN/path.png].")
    ] = None,
) -> None:
    """Walk from A to B through RUN's codes: straight, along a sphere, and beside it through plain pixels.

    Example: [bold]sfumato interpolate runs/codes 0 1 --out path.gif[/]
    """
    from sfumato.app.interpolating import interpolate_to
    from sfumato.runs.run import Run

    interpolate_to(Run.open(run), (a, b), steps, out or run / "path.png")

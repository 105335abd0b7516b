"""`sfumato decode`: from codes to pictures."""

from pathlib import Path
from typing import Annotated

import typer

from sfumato.app.cli.options import RunFolder


def decode(
    run: RunFolder,
    codes: Annotated[
        Path, typer.Argument(metavar="CODES", help="An .npz that sfumato encode wrote, or .npy.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            help=".png (grid), .npz (arrays), or no ending (a folder) \\[default: RUN/decoded.png]."
        ),
    ] = None,
) -> None:
    """Make pictures of CODES by RUN, the autoencoder that found them.

    Example: [bold]sfumato decode runs/codes codes.npz --out pictures.png[/]
    """
    from sfumato.app.encoding import decode_to
    from sfumato.runs.run import Run

    decode_to(Run.open(run), codes, out or run / "decoded.png")

"""`sfumato encode`: from data to codes."""

from pathlib import Path
from typing import Annotated

import typer

from sfumato.app.cli.options import RunFolder


def encode(
    run: RunFolder,
    data: Annotated[
        str | None, typer.Argument(metavar="DATA", help="What to encode \\[default: RUN's own data].")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="An .npz with codes and labels \\[default: RUN/codes.npz].")
    ] = None,
) -> None:
    """Find the code of every example of DATA by RUN, an encoder or autoencoder.

    The file keeps codes (N, ...), labels (N,), and held_out (N,), which marks what training never saw.

    Example: [bold]sfumato encode runs/codes digits --out codes.npz[/]
    """
    from sfumato.app.encoding import encode_to
    from sfumato.runs.run import Run

    encode_to(Run.open(run), data, out or run / "codes.npz")

"""`sfumato data`: what was found in a data source."""

from pathlib import Path
from typing import Annotated

import typer

from sfumato.app.cli.options import Background, Binarise, Channels, HeldOut, Size


def data(
    source: Annotated[
        str,
        typer.Argument(
            metavar="DATA", help="A built-in name, a folder, a .zip or .tar, an array file, or hf:OWNER/NAME."
        ),
    ],
    out: Annotated[Path | None, typer.Option(help="The contact sheet \\[default: NAME-sheet.png].")] = None,
    size: Size = None,
    channels: Channels = None,
    background: Background = None,
    held_out: HeldOut = None,
    binarise: Binarise = None,
) -> None:
    """Say what is in DATA and draw a contact sheet of it.

    Example: [bold]sfumato data my-pictures/ --size 32[/]
    """
    from sfumato.app.contact_sheet import describe_data

    form = {"size": size, "channels": channels, "background": background, "binarise": binarise}
    reading = {**form, "held_out": held_out}
    describe_data(source, reading, out)

"""`sfumato filters`: what local filters make of pictures, and the same filters learned back."""

from pathlib import Path
from typing import Annotated

import typer

from sfumato.app.cli.options import Background, Channels, Size


def filters(
    source: Annotated[
        str,
        typer.Argument(metavar="\\[DATA]", help="Pictures: a built-in name, a folder, an array file."),
    ] = "digits",
    out: Annotated[Path, typer.Option(help="The picture, .png, .jpg or .webp.")] = Path("filters.png"),
    size: Size = None,
    channels: Channels = None,
    background: Background = None,
) -> None:
    """Average, blur and find the edges of pictures, and learn each filter back from pairs.

    From 200 pictures and what a filter made of them, descent finds the filter's weights again. The picture
    shows the first few, what each filter makes of them, its weights, and those that were learned.

    Example: [bold]sfumato filters digits --out filters.png[/]
    """
    from sfumato.app.filters import show_filters

    reading = {"size": size, "channels": channels, "background": background}
    show_filters(source, reading, out)

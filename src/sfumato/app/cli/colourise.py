"""`sfumato colourise`: colours for grey pictures, by a run that learned them."""

from pathlib import Path
from typing import Annotated

import typer

from sfumato.app.cli.options import Prompts, RunFolder, SampleFile, Seed


def colourise(
    run: RunFolder,
    pictures: Annotated[list[Path], typer.Argument(help="The pictures, of the size that RUN makes.")],
    out: SampleFile = None,
    prompt: Prompts = None,
    seed: Seed = 0,
) -> None:
    """Give PICTURES colours: RUN was trained with --recipe colouriser; another seed gives others.

    Example: [bold]sfumato colourise runs/colours grey.png --out coloured.png[/]
    """
    from sfumato.app.completing import complete_to
    from sfumato.runs.fitting import accelerator
    from sfumato.runs.opening import open_folder

    opened = open_folder(run, accelerator().device)
    complete_to(opened, "colourise", pictures, prompt, seed, out or run / "coloured.png")

"""`sfumato upscale`: pictures made larger by a run that learned how."""

from pathlib import Path
from typing import Annotated

import typer

from sfumato.app.cli.options import Prompts, RunFolder, SampleFile, Seed


def upscale(
    run: RunFolder,
    pictures: Annotated[list[Path], typer.Argument(help="The pictures, of the size that RUN begins with.")],
    out: SampleFile = None,
    prompt: Prompts = None,
    seed: Seed = 0,
) -> None:
    """Make PICTURES larger: RUN is an upsampler, or a cascade that ends with one.

    Example: [bold]sfumato upscale runs/scenes small.png --prompt "a red circle" --out large.png[/]
    """
    from sfumato.app.completing import complete_to
    from sfumato.runs.fitting import accelerator
    from sfumato.runs.opening import open_folder

    opened = open_folder(run, accelerator().device)
    complete_to(opened, "upscale", pictures, prompt, seed, out or run / "upscaled.png")

"""`sfumato vary`: pictures that mean the same, and pictures between two meanings."""

from pathlib import Path
from typing import Annotated

import typer

from sfumato.app.cli.options import Guidance, Prompts, RunFolder, SampleFile, Seed


def vary(
    run: RunFolder,
    pictures: Annotated[
        list[Path] | None, typer.Argument(help="One picture to vary, or two to go between.")
    ] = None,
    prompt: Prompts = None,
    n: Annotated[int, typer.Option("-n", "--number", min=1, help="How many.")] = 16,
    guidance: Guidance = None,
    out: SampleFile = None,
    seed: Seed = 0,
) -> None:
    """Draw variations of a picture, or what lies between two pictures or two sentences.

    RUN was trained with --recipe dalle: it knows pictures by an embedding, which is kept or blended.

    Example: [bold]sfumato vary runs/dalle scene.png -n 9 --out variations.png[/]

    Example: [bold]sfumato vary runs/dalle --prompt "a red circle" --prompt "a blue square" --out b.png[/]
    """
    from sfumato.app.varying import vary_to
    from sfumato.runs.fitting import accelerator
    from sfumato.runs.opening import open_folder

    opened = open_folder(run, accelerator().device)
    vary_to(opened, pictures or [], prompt or [], n, guidance, seed, out or run / "varied.png")

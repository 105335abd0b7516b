"""`sfumato inpaint`: the rest of a picture, made to go with what is kept of it."""

from pathlib import Path
from typing import Annotated

import typer

from sfumato.app.cli.options import Guidance, Labels, Negative, Prompts, RunFolder, SampleFile, Seed


def inpaint(
    run: RunFolder,
    picture: Annotated[Path, typer.Argument(help="The picture to keep part of.")],
    mask: Annotated[Path, typer.Argument(help="White where it is kept, black where it is made up.")],
    n: Annotated[int, typer.Option("-n", "--number", min=1, help="How many attempts.")] = 16,
    out: SampleFile = None,
    prompt: Prompts = None,
    negative: Negative = None,
    labels: Labels = None,
    guidance: Guidance = None,
    seed: Seed = 0,
) -> None:
    """Make up what a mask hides of PICTURE, by words or a label where RUN knows them.

    Example: [bold]sfumato inpaint runs/scenes scene.png mask.png --prompt "a red circle"[/]
    """
    from sfumato.app.guiding import Guidances
    from sfumato.app.sampling import sample_to
    from sfumato.runs.fitting import accelerator
    from sfumato.runs.opening import open_folder

    opened = open_folder(run, accelerator().device)
    wish = Guidances(guidance, inpaint=picture, mask=mask)
    request = wish.request(opened, n, labels, seed, prompts=prompt, negative=negative)
    sample_to(opened, request, out or run / "inpainted.png")

"""`sfumato sample`: new images from a run folder."""

from pathlib import Path
from typing import Annotated

import typer

from sfumato.app.cli.options import Guidance, Labels, RunFolder, SamplerName, Seed, Steps


def sample(
    run: RunFolder,
    n: Annotated[int, typer.Option("-n", "--number", min=1, help="How many images.")] = 100,
    out: Annotated[
        Path | None,
        typer.Option(
            help=".png (grid), .gif (the denoising as a film), .npz (arrays), or no ending (a folder) "
            "[default: RUN/samples.png]."
        ),
    ] = None,
    labels: Labels = None,
    prompt: Annotated[
        list[str] | None, typer.Option(help="What to draw, for a model trained on captions.")
    ] = None,
    guidance: Guidance = None,
    sampler: SamplerName = None,
    steps: Steps = None,
    seed: Seed = 0,
) -> None:
    """Sample new images from RUN.

    Image i is made from seed + i alone, so any one of them can be made again.

    Example: [bold]sfumato sample runs/demo -n 50 --label 3 --guidance 2 --out threes.gif[/]
    """
    from sfumato.app.sampling import sample_to
    from sfumato.errors import ConfigError
    from sfumato.runs.fitting import accelerator
    from sfumato.runs.run import Run

    opened = Run.open(run, accelerator().device)
    if prompt:
        raise ConfigError("this model was trained without captions: ask for a class with --label.")
    request = opened.request(n, labels, seed, guidance=guidance, sampler=sampler, steps=steps)
    sample_to(opened, request, out or run / "samples.png")

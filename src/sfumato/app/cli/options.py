"""Options that several verbs share, with one wording each."""

from pathlib import Path
from typing import Annotated

import typer

RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder that sfumato train made.")]
Size = Annotated[
    int | None, typer.Option(help="Pixels a side, at least 8; pictures are cropped, never squashed.")
]
Channels = Annotated[int | None, typer.Option(help="1 for grey, 3 for colour.")]
Background = Annotated[
    str | None, typer.Option(help="The colour behind transparent pictures [default: white].")
]
HeldOut = Annotated[
    float | None,
    typer.Option(help="The share held out, where the data has no test split [default: 0.1]."),
]
Seed = Annotated[int, typer.Option(min=0, max=2**62, help="Image i is made from seed + i.")]
Labels = Annotated[
    list[str] | None,
    typer.Option("--label", metavar="L", help="A class by name or number; repeat to cycle [default: all]."),
]
Guidance = Annotated[
    float | None,
    typer.Option(min=0, help="0 ignores the label, 1 follows it, more exaggerates it [default: the run's]."),
]
SamplerName = Annotated[
    str | None,
    typer.Option("--sampler", help="ddim, ancestral, renoise, euler, heun or dpm++2m [default: the run's]."),
]
Steps = Annotated[int | None, typer.Option(min=1, help="Steps of the sampler [default: the run's].")]

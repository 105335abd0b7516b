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
    str | None, typer.Option(help="The colour behind transparent pictures \\[default: white].")
]
HeldOut = Annotated[
    float | None,
    typer.Option(help="The share held out, where the data has no test split \\[default: 0.1]."),
]
Binarise = Annotated[
    bool | None,
    typer.Option(
        "--binarise",
        help="Draw each grey pixel black or white with its value's probability, once, by seed 0.",
    ),
]
Seed = Annotated[int, typer.Option(min=0, max=2**62, help="Image i is made from seed + i.")]
Labels = Annotated[
    list[str] | None,
    typer.Option("--label", metavar="L", help="A class by name or number; repeat to cycle \\[default: all]."),
]
Guidance = Annotated[
    str | None,
    typer.Option(
        metavar="W",
        help="0 ignores label and prompt, 1 follows them, 3 exaggerates; or text=3,label=1.5 "
        "\\[default: the run's].",
    ),
]
SamplerName = Annotated[
    str | None,
    typer.Option(
        "--sampler",
        help="Such as ddim, ancestral, heun or dpm++2m; an unknown name lists all \\[default: the run's].",
    ),
]
Steps = Annotated[int | None, typer.Option(min=1, help="Steps of the sampler \\[default: the run's].")]
GridName = Annotated[
    str | None,
    typer.Option(
        "--grid",
        help="Such as uniform, trailing, rho, or fitted (sfumato fit-grid makes one); an unknown name lists "
        "all \\[default: the run's].",
    ),
]
Temperature = Annotated[
    float | None,
    typer.Option(
        min=0, help="Of models of tokens: below 1 for what they expect most \\[default: the run's]."
    ),
]
TopK = Annotated[
    int | None,
    typer.Option(min=0, help="Of models of tokens: choose among so many, 0 for all \\[default: the run's]."),
]
TopP = Annotated[
    float | None,
    typer.Option(min=0, max=1, help="Of models of tokens: choose among this share \\[default: the run's]."),
]
GuidanceInterval = Annotated[
    tuple[float, float] | None,
    typer.Option(metavar="FROM TO", help="The times, 1 is pure noise, within which guidance acts."),
]
ClassifierGuidance = Annotated[
    float | None,
    typer.Option(min=0, help="Weight of RUN's classifier (sfumato classifier RUN makes one); 0 is none."),
]
Weaker = Annotated[
    Path | None, typer.Option(metavar="RUN2", help="Lead away from a smaller or less trained run's mistakes.")
]
WeakerGuidance = Annotated[
    float | None, typer.Option(min=0, help="1 is RUN alone, more leads further away \\[default: 2].")
]
Threshold = Annotated[
    str | None,
    typer.Option(help="static, dynamic or none: how pixels are kept in their range \\[default: the run's]."),
]
Inpaint = Annotated[Path | None, typer.Option(metavar="PICTURE", help="A picture to keep part of.")]
Mask = Annotated[
    Path | None,
    typer.Option(metavar="PICTURE", help="White where --inpaint is kept, black where it is made up."),
]
SampleFile = Annotated[
    Path | None,
    typer.Option(
        help=".png (grid), .gif (the denoising as a film), .npz (arrays), or no ending (a folder) "
        "\\[default: a .png in RUN]."
    ),
]
Prompts = Annotated[
    list[str] | None,
    typer.Option(
        "--prompt", metavar="TEXT", help="What to draw, for a model trained on captions; repeat to cycle."
    ),
]
Attributes = Annotated[
    list[str] | None,
    typer.Option(
        "--attributes",
        metavar="A",
        help='Such as "Smiling, not Male", for data with them; repeat to cycle.',
    ),
]
Negative = Annotated[
    list[str] | None,
    typer.Option("--negative", metavar="TEXT", help="What guidance is to lead away from; repeat to cycle."),
]
Latent = Annotated[
    Path | None,
    typer.Option(
        metavar="RUN",
        help="Train in the codes of this autoencoder's run, or of an encoder's (--recipe prior).",
    ),
]
Encoder = Annotated[
    Path | None,
    typer.Option(
        metavar="RUN", help="Tell the model the codes of this encoder's run, such as one of --recipe clip."
    ),
]
TextEncoder = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        help="Read captions by this T5, BERT or CLIP, in the hub's format (pip install 'sfumato\\[text]').",
    ),
]

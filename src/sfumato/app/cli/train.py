"""`sfumato train`: from data to a run folder."""

from pathlib import Path
from typing import Annotated

import typer

from sfumato.app.cli.options import (
    Background,
    Binarise,
    Channels,
    Encoder,
    HeldOut,
    Latent,
    Size,
    TextEncoder,
)

DEFAULT_BUDGET = "5m"
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change one setting, such as training.batch=64."),
]


def train(
    source: Annotated[
        str | None,
        typer.Argument(
            metavar="DATA",
            help="A built-in name (digits, …), a folder, a .zip or .tar, an .npz or .npy, hf:OWNER/NAME "
            "\\[default with --resume: the run's own].",
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The run folder \\[default: runs/NAME].")] = None,
    recipe: Annotated[
        str | None,
        typer.Option(
            help="images, ddpm, flow, …: 'sfumato recipes' lists them \\[default: what suits the data]."
        ),
    ] = None,
    settings: Settings = None,
    budget: Annotated[
        str | None,
        typer.Option(help=f"90s, 5m, 2h, 20000steps or 3000000images \\[default: {DEFAULT_BUDGET}]."),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, max=2**62, help="Of weights, order and noise \\[default: 0].")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where the run in --out stopped.")] = False,
    latent: Latent = None,
    encoder: Encoder = None,
    text_encoder: TextEncoder = None,
    size: Size = None,
    channels: Channels = None,
    background: Background = None,
    held_out: HeldOut = None,
    binarise: Binarise = None,
) -> None:
    """Train a model on DATA and leave a run folder: weights, log, previews, report.

    Ctrl-C saves; the same command with --resume goes on exactly there.

    Example: [bold]sfumato train my-pictures/ --size 32 --budget 10m --out runs/mine[/]
    """
    from sfumato.app.cascading import train_as_wished
    from sfumato.app.training import TrainingWish

    form = {"size": size, "channels": channels, "background": background, "binarise": binarise}
    reading = {**form, "held_out": held_out}
    said = (source, out, recipe, tuple(settings or ()), budget, seed, reading, latent, encoder, text_encoder)
    train_as_wished(TrainingWish(*said), resume)

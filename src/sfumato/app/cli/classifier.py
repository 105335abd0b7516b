"""`sfumato classifier`: a classifier of noisy pictures beside a run, to guide its sampling."""

from typing import Annotated

import typer

from sfumato.app.cli.options import RunFolder


def classifier(
    run: RunFolder,
    budget: Annotated[str, typer.Option(help="How long to train: 60s, 5m or 2000steps.")] = "60s",
    seed: Annotated[int, typer.Option(min=0, max=2**62, help="Of weights, order and noise.")] = 0,
) -> None:
    """Train a classifier of noisy examples on RUN's data, for --classifier-guidance.

    It is kept in RUN/classifier.safetensors; training again replaces it.

    Example: [bold]sfumato classifier runs/demo && sfumato sample runs/demo --classifier-guidance 2[/]
    """
    from sfumato.app.classifier import train_classifier

    train_classifier(run, budget, seed)

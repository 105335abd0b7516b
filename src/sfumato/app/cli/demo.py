"""`sfumato demo`: everything once, on digits that come with scikit-learn."""

from pathlib import Path
from typing import Annotated

import typer

from sfumato.app.cli.options import Seed


def demo(
    out: Annotated[Path, typer.Option(help="The run folder.")] = Path("runs/demo"),
    budget: Annotated[str, typer.Option(help="How long to train.")] = "60s",
    seed: Seed = 0,
) -> None:
    """Train on the embedded digits, sample, score and report, in about two minutes.

    Example: [bold]sfumato demo --out runs/demo[/]
    """
    from sfumato.app.demonstration import demonstrate

    demonstrate(out, budget, seed)

"""`sfumato distill`: a run that samples in one step or two, made from one that takes many."""

from pathlib import Path
from typing import Annotated

import typer

from sfumato.app.cli.options import RunFolder


def distill(
    run: RunFolder,
    out: Annotated[Path | None, typer.Option(help="The new run folder \\[default: RUN-N-step].")] = None,
    steps: Annotated[int, typer.Option(help="Network evaluations an image will take, 1 to 4.")] = 1,
    budget: Annotated[str, typer.Option(help="How long to train: 60s, 5m or 2000steps.")] = "5m",
    seed: Annotated[int, typer.Option(min=0, max=2**62, help="Of order and noise.")] = 0,
    guidance: Annotated[
        float | None,
        typer.Option(
            min=0,
            metavar="W",
            help="The teacher's weight of guidance: 1 is none, more is clearer and less varied "
            "\\[default: the run's, more if the budget is short].",
        ),
    ] = None,
) -> None:
    """Distil RUN into a run that samples many times faster, by score identity distillation.

    The result is a run folder like any other. Ctrl-C saves; 'sfumato train --resume --out OUT' goes on.

    Example: [bold]sfumato distill runs/demo --budget 60s && sfumato sample runs/demo-1-step -n 400[/]
    """
    from sfumato.app.distilling import distill_run

    distill_run(run, out, budget, steps, seed, guidance)

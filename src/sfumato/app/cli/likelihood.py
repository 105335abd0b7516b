"""`sfumato likelihood`: how likely held-out data is under a run, in bits per dimension."""

from typing import Annotated

import typer

from sfumato.app.cli.options import RunFolder


def likelihood(
    run: RunFolder,
    n: Annotated[
        int | None,
        typer.Option(
            "-n",
            "--number",
            min=2,
            help="Held-out examples \\[default: 64, or 1,000 where it is exact].",
        ),
    ] = None,
    data: Annotated[
        str | None, typer.Option(help="Whose held-out examples \\[default: those of RUN's own data].")
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(min=1, help="Steps of the bound's chain \\[default: the run's own, or 1,000]."),
    ] = None,
    probes: Annotated[
        int | None,
        typer.Option(
            min=1, help="Random probes of the flow's trace, in more than 32 dimensions \\[default: 1]."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**62, help="Noise of example i comes from seed + i.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the numbers as JSON.")] = False,
) -> None:
    """Measure how likely held-out data is under RUN: the variational bound, and the flow's own likelihood.

    Of a model of pixels one after another it is exact. All are in bits per dimension and in nats, lower is
    better; it says what is a bound and what is exact.

    Example: [bold]sfumato likelihood runs/demo -n 128[/]
    """
    from sfumato.app.measuring import measure_any
    from sfumato.runs.run import Run

    measure_any(Run.open(run), data, n, steps, probes, seed, as_json)

"""`sfumato fit-grid`: place the sampling steps of a run where they serve it best."""

from typing import Annotated

import typer

from sfumato.app.cli.options import Guidance, RunFolder, SamplerName, Seed, Steps


def fit_grid(
    run: RunFolder,
    steps: Steps = None,
    sampler: SamplerName = None,
    guidance: Guidance = None,
    trajectories: Annotated[
        int, typer.Option(min=2, help="How many images it is fitted on; as many again judge it.")
    ] = 32,
    seed: Seed = 0,
) -> None:
    """Place the steps of a sampler for RUN, and keep them with it.

    The sampler must draw no noise of its own, such as unipc, dpm++2m, heun or ddim.

    Example: [bold]sfumato fit-grid runs/demo --sampler unipc --steps 8[/], then
    [bold]sfumato sample runs/demo --sampler unipc --steps 8 --grid fitted[/]
    """
    from sfumato.app.grid_fitting import fit_and_keep
    from sfumato.app.guiding import weights_of
    from sfumato.runs.run import Run

    opened = Run.open(run)
    weight = None if guidance is None else weights_of(guidance)
    fit_and_keep(
        opened,
        trajectories,
        seed,
        sampler=sampler,
        steps=steps,
        guidance=weight,
    )

"""`sfumato evaluate`: how good a run's samples are."""

from pathlib import Path
from typing import Annotated

import typer

from sfumato.app.cli.options import (
    ClassifierGuidance,
    GridName,
    Guidance,
    GuidanceInterval,
    RunFolder,
    SamplerName,
    Seed,
    Steps,
    Temperature,
    Threshold,
    TopK,
    TopP,
    Weaker,
    WeakerGuidance,
)


def evaluate(
    run: RunFolder,
    data: Annotated[
        str | None, typer.Option(help="The real data to compare with \\[default: what RUN was trained on].")
    ] = None,
    n: Annotated[int, typer.Option("-n", "--number", min=2, help="How many samples to score.")] = 2000,
    guidance: Guidance = None,
    guidance_interval: GuidanceInterval = None,
    classifier_guidance: ClassifierGuidance = None,
    weaker: Weaker = None,
    weaker_guidance: WeakerGuidance = None,
    threshold: Threshold = None,
    sampler: SamplerName = None,
    grid: GridName = None,
    steps: Steps = None,
    temperature: Temperature = None,
    top_k: TopK = None,
    top_p: TopP = None,
    seed: Seed = 0,
    clip: Annotated[
        Path | None,
        typer.Option(metavar="RUN2", help="A run of 'clip', which says whether pictures follow their words."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the scores as JSON.")] = False,
) -> None:
    """Score samples of RUN against real data, and put the scores into its report.

    Every Fréchet distance stands beside its floor: what real images score against other real images, and
    labels are asked for as often as the data has them. Of a run that only encodes, it scores what can be read
    off its codes and how well they are decoded.

    Example: [bold]sfumato evaluate runs/demo -n 1000[/]
    """
    from sfumato.app.evaluating import evaluate_folder
    from sfumato.app.guiding import Guidances

    wish = Guidances(guidance, guidance_interval, classifier_guidance, weaker, weaker_guidance)
    how: dict[str, object] = {"sampler": sampler, "grid": grid, "steps": steps, "threshold": threshold}
    how |= {"temperature": temperature, "top_k": top_k, "top_p": top_p}
    evaluate_folder(run, data, n, seed, as_json, wish, clip, **how)

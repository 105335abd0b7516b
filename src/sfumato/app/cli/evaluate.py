"""`sfumato evaluate`: how good a run's samples are."""

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
    Threshold,
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
    seed: Seed = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the scores as JSON.")] = False,
) -> None:
    """Score samples of RUN against real data, and put the scores into its report.

    Every Fréchet distance stands beside its floor: what real images score against other real images. Of a run
    that only encodes, it scores what can be read off its codes and how well they are decoded.

    Example: [bold]sfumato evaluate runs/demo -n 1000[/]
    """
    from sfumato.app.code_scores import score_codes
    from sfumato.app.guiding import Guidances
    from sfumato.app.scoring import score_run
    from sfumato.errors import ConfigError
    from sfumato.families.agreements import Generator
    from sfumato.runs.cascade.cascade import Cascade
    from sfumato.runs.opening import open_folder

    opened = open_folder(run)
    wish = Guidances(guidance, guidance_interval, classifier_guidance, weaker, weaker_guidance)
    how = {"sampler": sampler, "grid": grid, "steps": steps, "threshold": threshold}
    if isinstance(opened, Cascade) or isinstance(opened.family, Generator):
        score_run(opened, data, n, seed, as_json, wish, **how)
    elif wish != Guidances() or any(how.values()):
        raise ConfigError(f"{run} samples nothing: leave out the options that say how to sample.")
    else:
        score_codes(opened, data, n, as_json)

"""`sfumato sample`: new images from a run folder."""

from typing import Annotated

import typer

from sfumato.app.cli.options import (
    Attributes,
    ClassifierGuidance,
    GridName,
    Guidance,
    GuidanceInterval,
    Inpaint,
    Labels,
    Mask,
    Negative,
    Prompts,
    RunFolder,
    SampleFile,
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


def sample(
    run: RunFolder,
    n: Annotated[int, typer.Option("-n", "--number", min=1, help="How many images.")] = 100,
    out: SampleFile = None,
    labels: Labels = None,
    prompt: Prompts = None,
    negative: Negative = None,
    attributes: Attributes = None,
    guidance: Guidance = None,
    guidance_interval: GuidanceInterval = None,
    classifier_guidance: ClassifierGuidance = None,
    weaker: Weaker = None,
    weaker_guidance: WeakerGuidance = None,
    inpaint: Inpaint = None,
    mask: Mask = None,
    threshold: Threshold = None,
    sampler: SamplerName = None,
    grid: GridName = None,
    steps: Steps = None,
    temperature: Temperature = None,
    top_k: TopK = None,
    top_p: TopP = None,
    seed: Seed = 0,
) -> None:
    """Sample new images from RUN.

    Image i is made from seed + i alone, so any one of them can be made again.

    Example: [bold]sfumato sample runs/demo -n 50 --label 3 --guidance 2 --out threes.gif[/]

    Example: [bold]sfumato sample runs/scenes -n 8 --prompt "a red circle" --prompt "a blue square"[/]
    """
    from sfumato.app.guiding import Guidances
    from sfumato.app.sampling import default_file, sample_to
    from sfumato.runs.fitting import accelerator
    from sfumato.runs.opening import open_folder

    opened = open_folder(run, accelerator().device)
    wish = Guidances(guidance, guidance_interval, classifier_guidance, weaker, weaker_guidance, inpaint, mask)
    how: dict[str, object] = {"sampler": sampler, "grid": grid, "steps": steps, "threshold": threshold}
    how |= {"temperature": temperature, "top_k": top_k, "top_p": top_p}
    asked = {"prompts": prompt, "negative": negative, "attributes": attributes}
    request = wish.request(opened, n, labels, seed, **asked, **how)
    sample_to(opened, request, out or run / default_file(opened))

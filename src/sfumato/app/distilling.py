"""What `sfumato distill` does: make a run's fast twin, with the bar, previews and report of any training."""

from pathlib import Path

from sfumato.app.console import console
from sfumato.app.scoring import one_process
from sfumato.app.training import carry_out, read_data, refuse_at_once
from sfumato.diffusion.guidance import OFF
from sfumato.runs.distillation import distilled_config
from sfumato.runs.distilling import begin_distillation
from sfumato.runs.run import Run
from sfumato.train.budget import Budget


def distill_run(
    teacher: Path, out: Path | None, budget: str, steps: int, seed: int, guidance: float | None
) -> None:
    """Distil the run in `teacher` into the folder `out`, by default beside it."""
    one_process("distill")
    limit, opened = Budget.parse(budget), Run.open(teacher)
    folder = out or _twin(teacher, steps)
    refuse_at_once(folder)
    # Refuses what cannot be before the data is read.
    config = distilled_config(opened, steps, seed, budget=limit, guidance=guidance)
    dataset = read_data(config.data.source, config.data.reading)
    taught = opened.diffusion.config.sampling.steps
    console.print(f"[bold]{teacher}[/] samples in {taught} steps; its twin in {folder} will in {steps}.")
    if config.distilled is not None and config.distilled.guidance != OFF:
        console.print(f"It is taught with a guidance of {config.distilled.guidance:g} (--guidance).")
    carry_out(begin_distillation(opened, folder, limit, steps, seed, (), dataset, guidance))


def _twin(teacher: Path, steps: int) -> Path:
    """Return the folder beside the teacher's that says of whom the run is; "." and ".." have no name."""
    named = teacher if teacher.name not in ("", "..") else teacher.resolve()
    return named.with_name(f"{named.name}-{steps}-step")

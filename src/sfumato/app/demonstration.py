"""What `sfumato demo` does: train, sample a grid and a film, score, and point at the report."""

from pathlib import Path

from sfumato.app.console import console, output
from sfumato.app.guiding import Guidances
from sfumato.app.sampling import sample_to
from sfumato.app.scoring import one_process, score_run
from sfumato.app.training import TrainingWish, start_run
from sfumato.errors import RunError
from sfumato.runs.run import CONFIG, REPORT

FILM_STEPS = 18
"""More than a sample needs: a film of eight pictures is none."""


def demonstrate(out: Path, budget: str, seed: int) -> None:
    """Run the demonstration into the folder `out`."""
    one_process("demo")
    if (out / CONFIG).exists():
        raise RunError(
            f"{out} holds a run already: choose another --out, or go on with it by "
            f"'sfumato train --resume --out {out}'."
        )
    run = start_run(TrainingWish("digits", out, None, (), budget, seed, {}))
    if run is None:
        return
    sample_to(run, run.request(100, seed=seed), out / "samples.png")
    sample_to(run, run.request(50, seed=seed, steps=FILM_STEPS), out / "film.gif")
    score_run(run, None, 1000, seed, as_json=False, wish=Guidances())
    console.print("[bold]That is all.[/] Open the report in a browser:")
    output.print(f"  {(out / REPORT).resolve()}")

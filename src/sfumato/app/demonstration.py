"""What `sfumato demo` does: train, sample a grid and a film, score, and point at the report."""

from pathlib import Path

from sfumato.app.console import console, output
from sfumato.app.guiding import Guidances
from sfumato.app.sampling import sample_to
from sfumato.app.scoring import one_process, score_run
from sfumato.app.training import Wish, start_run
from sfumato.errors import RunError
from sfumato.runs.run import CONFIG, REPORT


def demonstrate(out: Path, budget: str, seed: int) -> None:
    """Run the demonstration into the folder `out`."""
    one_process("demo")
    if (out / CONFIG).exists():
        raise RunError(
            f"{out} holds a run already: choose another --out, or go on with it by "
            f"'sfumato train --resume --out {out}'."
        )
    run = start_run(Wish("digits", out, None, (), budget, seed, {}))
    if run is None:
        return
    for name, n in (("samples.png", 100), ("film.gif", 50)):
        sample_to(run, run.request(n, seed=seed), out / name)
    score_run(run, None, 1000, seed, as_json=False, wish=Guidances())
    console.print("[bold]That is all.[/] Open the report in a browser:")
    output.print(f"  {(out / REPORT).resolve()}")

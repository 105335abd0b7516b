"""Fast: training, sampling, quality, memory and start-up, ours beside the peers', in one run.

    python benchmarks/fast.py                                  everything, about three hours on two cores
    python benchmarks/fast.py --only training,memory           only these; the other sections stay
    python benchmarks/fast.py --haste 0.02 --rounds 1 --batch 8 --samples 200 --out /tmp/fast   a trial

Every part is a section of one dated page, `results/fast-DATE.md`, which is written after each of them, so a
part can be measured again alone. Runs are kept in `--runs` and found again: remove one to train it anew.
"""

import argparse
import os
from collections.abc import Callable
from datetime import datetime
from importlib import import_module
from pathlib import Path

import torch
from fast_parts.page import Section, page_of, sections_of
from fast_parts.settings import NotMeasuredError, Settings
from machine import PRODUCT, matrix_rate, versions

PARTS = ("imports", "steps", "memory", "training", "quality", "sampling", "colour")
RESULTS = Path(__file__).parent / "results"
ABOUT = """\
Ours beside diffusers and azula, timed in turns in one process (A B A B …); trainings for a budget and what is
weighed in memory run in fresh processes. A budget of B seconds means B seconds at 1 TFLOP/s of bf16 matrix
product (2048³): at R TFLOP/s, measured just before, it is B/R seconds, compilation from a cold cache
included. Every section says when it was measured and at what rate before and after.
"""


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--only", help=f"parts, separated by commas, of: {', '.join(PARTS)}")
    parser.add_argument("--runs", type=Path, default=Path("runs/fast"), help="where trained runs are kept")
    parser.add_argument("--out", type=Path, default=RESULTS, help="the folder of the page")
    parser.add_argument("--date", default=datetime.now().date().isoformat(), help="of the page to write into")
    parser.add_argument("--seeds", type=int, default=1, help="trainings of each kind")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each contestant")
    parser.add_argument("--batch", type=int, default=64, help="images a training step")
    parser.add_argument("--samples", type=int, default=5000, help="that are scored")
    parser.add_argument("--colour-samples", type=int, default=2000, help="the same for colour")
    parser.add_argument("--haste", type=float, default=1.0, help="share of the budgets to train for")
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args()


def chosen(only: str | None) -> list[str]:
    """Return the parts asked for, in their order."""
    asked = PARTS if only is None else tuple(name.strip() for name in only.split(","))
    if unknown := set(asked) - set(PARTS):
        raise SystemExit(f"no part is called {', '.join(sorted(unknown))}: there are {', '.join(PARTS)}.")
    return [name for name in PARTS if name in asked]


def measured(name: str, settings: Settings) -> str:
    """Run a part and return its section as text; raise NotMeasuredError where it cannot be run."""
    part: Callable[[Settings], Section] = import_module(f"fast_parts.{name}").measure
    before, start = matrix_rate(), datetime.now()
    section = part(settings)
    circumstances = (
        f"*{start:%Y-%m-%d %H:%M}, {(datetime.now() - start).total_seconds() / 60:.0f} minutes. "
        f"{PRODUCT} at {before:.2f} TFLOP/s before and {matrix_rate():.2f} after, "
        f"{settings.threads} threads. {versions('sfumato', 'torch', 'diffusers', 'azula')}.*"
    )
    if settings.haste != 1:
        circumstances += f"\n\n**A trial: budgets cut to {settings.haste:g} of themselves.**"
    return section.markdown(circumstances)


def main() -> None:
    args = arguments()
    # Children start in the same folder, but what they are told must not depend on it.
    settings = Settings(
        args.runs.resolve(),
        args.out.resolve(),
        args.date,
        args.seeds,
        args.rounds,
        args.batch,
        args.samples,
        args.colour_samples,
        args.haste,
        args.threads,
    )
    os.environ["OMP_NUM_THREADS"] = str(args.threads)
    torch.set_num_threads(args.threads)
    for folder in (settings.runs, settings.out):
        folder.mkdir(parents=True, exist_ok=True)
    path = settings.out / f"fast-{args.date}.md"
    for name in chosen(args.only):
        print(f"{name}:", flush=True)
        sections = sections_of(path.read_text()) if path.exists() else {}
        try:
            sections[name] = measured(name, settings)
        except NotMeasuredError as error:
            print(f"  not measured: {error}", flush=True)
            sections.setdefault(name, Section(name.capitalize(), f"Not measured: {error}.").markdown(""))
        path.write_text(page_of(f"Fast, {args.date}", ABOUT, sections, PARTS))
    print("\n" + path.read_text())


if __name__ == "__main__":
    main()

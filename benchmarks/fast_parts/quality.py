"""What a budget buys: Fréchet distance and digits read as asked, after minutes on MNIST and on the digits.

Each budget is in seconds at 1 TFLOP/s, see `ours`. Runs are sampled without guidance, except for the demo,
which is sampled the way it samples; the distance is measured in the features of a classifier, beside its
floor, which real digits score against other real digits.
"""

from collections.abc import Callable, Iterator
from statistics import fmean, stdev
from typing import Any

import sfumato
from fast_parts.ours import Scored, Trained, distilled, score, trained
from fast_parts.page import Goal, Section, table
from fast_parts.settings import NotMeasuredError, Settings
from sfumato.data import Dataset

MNIST = (60.0, 300.0)
DISTILLING = 300.0
DEMO = 20.0
DEMO_SAMPLES = 1000
"""As many as `sfumato demo` scores."""

Rows = dict[str, list[tuple[Trained, Scored]]]


def measure(settings: Settings) -> Section:
    """Train, distil and score; several seeds give a mean and a spread."""
    rows: Rows = {}
    digits = sfumato.load_data("digits")
    for seed in range(settings.seeds):
        made = trained(settings, "digits", "digits", DEMO, seed)
        add(rows, "digits, 20 s", made, digits, DEMO_SAMPLES, seed)
    try:
        on_mnist(settings, rows)
        missing = ""
    except NotMeasuredError as error:
        missing = f"The rest was not measured: {error}."
    return Section("Quality", text(rows, settings, missing), tuple(goals(rows)))


def on_mnist(settings: Settings, rows: Rows) -> None:
    """Add the lines of MNIST, the distilled run last."""
    data = sfumato.load_data(settings.mnist)
    for seed in range(settings.seeds):
        for budget in MNIST:
            made = trained(settings, "mnist", settings.mnist, budget, seed)
            add(rows, f"MNIST, {budget:.0f} s", made, data, settings.samples, seed, guidance=1.0)
    for seed in range(settings.seeds):
        teacher = trained(settings, "mnist", settings.mnist, max(MNIST), seed)
        made = distilled(settings, teacher, DISTILLING)
        add(rows, f"one step, distilled for {DISTILLING:.0f} s more", made, data, settings.samples, seed)


def add(rows: Rows, line: str, made: Trained, data: Dataset, n: int, seed: int, **sampling: Any) -> None:
    """Score a run and add it to a line."""
    found = score(made.run, data, n, 100_000 * (seed + 1), **sampling)
    print(f"  {line}: {found.ratio:.2f} times the floor, {found.read:.1%} read as asked", flush=True)
    rows.setdefault(line, []).append((made, found))


def mean(rows: Rows, line: str, of: Callable[[Scored], float]) -> float:
    """Return the mean over the seeds of a line."""
    return fmean(of(found) for _, found in rows[line])


def goals(rows: Rows) -> Iterator[Goal]:
    """Yield the goals of the lines that were measured."""
    for line, wanted in (("MNIST, 60 s", 0.8), ("MNIST, 300 s", 0.97), ("digits, 20 s", 0.97)):
        if line in rows:
            read = mean(rows, line, lambda found: found.read)
            yield Goal(f"{line}: read as asked", f"≥ {wanted:.0%}", f"{read:.1%}", read >= wanted)
    if "MNIST, 300 s" in rows:
        ratio = mean(rows, "MNIST, 300 s", lambda found: found.ratio)
        yield Goal("MNIST, 300 s: Fréchet distance, times the floor", "≤ 3", f"{ratio:.2f}", ratio <= 3)
    for line in rows:
        if line.startswith("one step"):
            student, teacher = (mean(rows, name, distance) for name in (line, "MNIST, 300 s"))
            worse = student / teacher
            yield Goal("one step: Fréchet distance, times the teacher's", "≤ 2", f"{worse:.2f}", worse <= 2)


def distance(found: Scored) -> float:
    """Return the Fréchet distance."""
    return found.scores.frechet.mean


def told(values: list[float], form: str) -> str:
    """Return a mean, with the standard deviation over seeds where there are several."""
    spread = f" ± {stdev(values):{form}}" if len(values) > 1 else ""
    return f"{fmean(values):{form}}{spread}"


def text(rows: Rows, settings: Settings, missing: str) -> str:
    """Return the table, and for each training what it got."""
    head = ["", "samples", "evaluations", "Fréchet distance", "floor", "times the floor", "read as asked"]
    body = []
    for line, pairs in rows.items():
        found = [one for _, one in pairs]
        body.append(
            [
                line,
                f"{len(found[0].samples):,}",
                str(found[0].evaluations),
                told([distance(one) for one in found], ".3f"),
                told([one.scores.floor.mean for one in found], ".3f"),
                told([one.ratio for one in found], ".2f"),
                told([100 * one.read for one in found], ".1f") + " %",
            ]
        )
    trainings = "\n".join(f"- {line}: {made}" for line, pairs in rows.items() for made, _ in pairs)
    return "\n\n".join(filter(None, [table(head, body), notes(rows, settings), trainings, missing]))


def notes(rows: Rows, settings: Settings) -> str:
    """Return the seeds, how good the judges are, and what they doubt."""
    scores = [found.scores for pairs in rows.values() for _, found in pairs]
    accuracies = sorted({f"{one.judge_accuracy:.1%}" for one in scores if one.judge_accuracy is not None})
    said = [
        f"Training seeds 0 to {settings.seeds - 1}; the samples of training seed s have the seeds from",
        f"100,000·(s + 1) on. The judges read {' and '.join(accuracies)} of held-out examples right.",
        *dict.fromkeys(warning for one in scores for warning in one.warnings),
    ]
    return "\n".join(said)

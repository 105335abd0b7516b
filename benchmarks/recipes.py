"""Every diffusion recipe on the digits, for the same time: one table and one picture for the docs.

    python benchmarks/recipes.py --budget 60s --runs /tmp/recipes

Each recipe is trained once and sampled by its lecture's own sampler; what the lectures set beside it ("idea
1", the version without fresh noise, DDPM's larger variance) is sampled from the same run. Recipes of the two
comparisons are trained from several seeds. Runs that exist already are scored again, not trained again.
"""

import argparse
import json
import os
import platform
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from statistics import mean, stdev
from time import perf_counter
from typing import Any

import numpy as np
import torch
from machine import PRODUCT, matrix_rate

import sfumato
from sfumato.data import Dataset, load_data
from sfumato.metrics import classes_to_ask, evaluate, judge_for
from sfumato.runs.run import Run
from sfumato.train.budget import Budget

DOCS = Path(__file__).parents[1] / "docs"


@dataclass(frozen=True)
class Row:
    """A line of the table: which rows of the lectures, which recipe, and how it is sampled."""

    rows: str
    recipe: str
    what: str
    sampling: dict[str, Any] = field(default_factory=dict)
    compared: bool = False


ROWS = (
    Row("N6–N9", "constant", "re-noising at T, fresh noise", compared=True),
    Row("N9", "constant", "the same without fresh noise", {"sampler": "fixed-level-stale"}, compared=True),
    Row("H4, H7, H8", "exploding", "re-noising down the levels", compared=True),
    Row("H8", "exploding", "“idea 1”: a single jump", {"steps": 1}, compared=True),
    Row("A5–A7", "previous", "the reverse sampler"),
    Row("R5, R8, D6", "ddpm", "the smaller variance"),
    Row("D6", "ddpm", "the larger variance", {"sampler": "ancestral-large"}),
    Row("R7, D4", "bound", "learned variance, by the bound"),
    Row("R7", "hybrid", "learned variance, hybrid loss"),
    Row("D7", "ncsn", "annealed Langevin"),
    Row("D8", "vp-sde", "predictor–corrector"),
    Row("D8", "vp-sde", "the reverse equation", {"sampler": "euler-maruyama", "steps": 200}),
    Row("D8", "vp-sde", "the probability flow", {"sampler": "adaptive-ode", "steps": 1}),
    Row("D8", "ve-sde", "predictor–corrector"),
    Row("D8", "subvp-sde", "predictor–corrector"),
    Row("H5", "cosine", "DDIM"),
    Row("—", "edm", "Heun"),
    Row("—", "flow", "Heun"),
    Row("—", "images", "UniPC, guidance learned"),
)


def trained(recipe: str, seed: int, data: Dataset, budget: str, runs: Path) -> Run:
    """Return the run of a recipe and seed, trained now if it is not there yet for this budget."""
    folder = runs / f"{recipe}-{seed}-{budget}"
    if (folder / "config.json").exists():
        run = sfumato.open_run(folder)
        if Budget.parse(budget).progress(run.done) < 1:
            raise SystemExit(f"{folder} was not trained to its end: remove it.")
        return run
    return sfumato.fit(data, out=folder, recipe=recipe, budget=budget, seed=seed)


def measure(row: Row, seed: int, data: Dataset, n: int, budget: str, runs: Path) -> dict[str, Any]:
    """Train, sample and score one line for one seed."""
    run = trained(row.recipe, seed, data, budget, runs)
    start = perf_counter()
    request = run.request(n, classes_to_ask(data, n), 10_000 * seed, **row.sampling)
    parts, evaluations = [], 0
    for places in request.chunks(250):
        *_, last = run.walk(request, places)
        parts.append(last.state)
        evaluations = last.moment.evaluations
    seconds = perf_counter() - start
    samples = np.concatenate(parts)
    scores = evaluate(torch.from_numpy(samples), request.labels, data, judge_for(data))
    found = {
        "frechet": scores.frechet.mean,
        "floor": scores.floor.mean,
        "read": scores.read_as_asked,
        "evaluations": evaluations,
        "steps": run.done.steps,
        "seconds": seconds,
    }
    print(row.recipe, row.what, seed, json.dumps(found), flush=True)
    return {**found, "samples": samples[:20]}


def lines(results: list[tuple[Row, list[dict[str, Any]]]]) -> Iterator[str]:
    """Yield the table as Markdown."""
    yield "| rows | recipe | sampled by | evaluations | Fréchet distance | times the floor | read as asked |"
    yield "|---|---|---|---|---|---|---|"
    for row, found in results:
        distance = [one["frechet"] for one in found]
        ratio = [one["frechet"] / one["floor"] for one in found]
        read = [100 * one["read"] for one in found]
        spread = (lambda x: f" ± {stdev(x):.2g}") if len(found) > 1 else (lambda x: "")
        yield (
            f"| {row.rows} | `{row.recipe}` | {row.what} | {found[0]['evaluations']} | "
            f"{mean(distance):.2f}{spread(distance)} | {mean(ratio):.1f}{spread(ratio)} | "
            f"{mean(read):.1f} %{spread(read)} |"
        )


def draw(results: list[tuple[Row, list[dict[str, Any]]]], path: Path) -> None:
    """Draw a row of twenty samples for each line of the table."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.6, 0.37 * len(results)), layout="constrained")
    axes = figure.subplots(len(results), 1)
    for axis, (row, found) in zip(axes, results, strict=True):
        strip = np.concatenate(list(found[0]["samples"][:, 0]), axis=1)
        axis.imshow(strip, cmap="gray_r", vmin=0, vmax=255, interpolation="nearest")
        axis.set_axis_off()
        axis.text(-3, 4, f"{row.recipe}: {row.what}", ha="right", va="center", fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130, facecolor="white", bbox_inches="tight")


def page(results: list[tuple[Row, list[dict[str, Any]]]], args: argparse.Namespace, rate: float) -> str:
    """Return the page of the docs."""
    floor = mean(one["floor"] for _, found in results for one in found)
    table = "\n".join(lines(results))
    machine = f"torch {torch.__version__.split('+')[0]}, {os.cpu_count()} cores ({platform.machine()})"
    return f"""# The recipes side by side

Every diffusion recipe, trained on scikit-learn's digits for {args.budget} and sampled the way its lecture or
paper samples. `--recipe NAME` trains it, `sfumato recipes` lists them all.

![A row of samples for each line of the table](images/recipes.png)

{table}

Fréchet distances are in the features of a classifier of the digits, of {args.n:,} samples each; real digits
against other real digits score {floor:.2f}. ± is the standard deviation over {args.seeds} trainings from
different seeds, where there are several; labels are asked for as often as the data has them. Only `images`
is guided, in training. The floor is what chance alone scores at this count, on a few hundred real digits: a
ratio below 1 says "as near as can be told", not "better than real".

Regenerated by `python benchmarks/recipes.py --budget {args.budget} -n {args.n} --seeds {args.seeds}`.
These figures: {date.today().isoformat()}, {machine}, {PRODUCT} at {rate:.1f} TFLOP/s before.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--budget", default="60s")
    parser.add_argument("-n", type=int, default=1000)
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each compared recipe")
    parser.add_argument("--runs", type=Path, default=Path("runs/recipes"))
    parser.add_argument("--docs", type=Path, default=DOCS)
    parser.add_argument("--only", help="a recipe's name: print its lines, write nothing")
    args = parser.parse_args()
    rate, data = matrix_rate(), load_data("digits")
    wanted = [row for row in ROWS if args.only in (None, row.recipe)]
    results = []
    for row in wanted:
        seeds = range(args.seeds if row.compared else 1)
        results.append((row, [measure(row, seed, data, args.n, args.budget, args.runs) for seed in seeds]))
    print("\n".join(lines(results)))
    if args.only is None:
        draw(results, args.docs / "images" / "recipes.png")
        (args.docs / "recipes.md").write_text(page(results, args, rate))


if __name__ == "__main__":
    main()

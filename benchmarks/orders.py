"""Three orders of generation and diffusion, side by side, trained for the same time on the same pictures.

    python benchmarks/orders.py --data digits [--budget 300s] [--samples 2000] [--runs runs/orders]

Next pixel, next token (both stages), next scale (both stages) and diffusion get `--budget` each, one after
another; a figure of the machine's rate stands beside each training. Every model is asked for labels as often
as the data has them, and scored by the same judge. Speed is that of batches of 128 pictures, in turns over
all models, the median of three; and of one picture alone. Bits per dimension are of held-out pictures: exact
for pixels, by the probability flow of 16 pictures for diffusion. Existing runs in --runs are measured again
instead of trained.

The table goes into docs/families/autoregressive.md, between its markers, if --docs names that file.
"""

import argparse
import subprocess
import sys
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import torch
from machine import PRODUCT, matrix_rate, versions

from sfumato.app.exact_likelihood import measure_exactly
from sfumato.app.likelihood import measure
from sfumato.app.pictures import picture
from sfumato.app.pictures.files import save_image
from sfumato.data import Dataset, load_data
from sfumato.metrics import classes_to_ask, evaluate, judge_for
from sfumato.runs.cascade.cascade import Cascade
from sfumato.runs.opening import open_folder
from sfumato.runs.run import Run

FIRST_SEED = 100_000
BATCH, ROUNDS = 128, 3
FLOW_EXAMPLES = 16
MARKS = ("<!-- orders: begin -->", "<!-- orders: end -->")
HEAD = (
    "| order | passes | samples a second | one alone (s) | as asked | Fréchet distance | bits a dimension |\n"
    "|---|---|---|---|---|---|---|"
)


@dataclass(frozen=True)
class Way:
    """A model, and how it is sampled. recipe: of its run; how: options where they are not the run's own."""

    name: str
    recipe: str
    how: dict[str, Any]


WAYS = (
    Way("next pixel", "next-pixel", {}),
    Way("next token", "next-token", {}),
    Way("next scale", "var", {}),
    Way("diffusion, as its recipe has it", "images", {}),
    Way("diffusion, 18 steps", "images", {"steps": 18}),
)


@dataclass
class Row:
    """What was measured of a way; seconds: of batches, in each round."""

    passes: int
    asked: float
    distance: float
    floor: float
    bits: str
    alone: float
    seconds: list[float]


def train(recipe: str, data: str, budget: str, folder: Path) -> float | None:
    """Train a run unless it is there; return the machine's rate then, None where it is unknown."""
    if (folder / "config.json").is_file() or (folder / "cascade.json").is_file():
        return None
    command = [sys.executable, "-m", "sfumato", "train", data, "--recipe", recipe]
    rate = matrix_rate()
    subprocess.run([*command, "--budget", budget, "--out", str(folder)], check=True)
    return (rate + matrix_rate()) / 2


def opened(folder: Path) -> Run | Cascade:
    """Open a run, with no progress bar of its own."""
    return open_folder(folder)


def timed(run: Run | Cascade, n: int, how: dict[str, Any]) -> float:
    """Return the seconds that `n` pictures take."""
    start = perf_counter()
    run.sample(n, seed=FIRST_SEED, **how)
    return perf_counter() - start


def bits(run: Run | Cascade, n: int) -> str:
    """Return the bits per dimension of held-out pictures, as a cell."""
    if isinstance(run, Cascade):
        return "–"
    if run.config.recipe == "next-pixel":
        found = measure_exactly(run, None, n, 0, as_json=True)["exact"]
        return f"{found['bits_per_dimension']:.3f} ± {found['standard_error']:.3f}"
    found = measure(run, None, FLOW_EXAMPLES, None, None, 0, as_json=True)["flow"]["total"]
    return f"≤ {found['bits_per_dimension']:.2f} ± {found['standard_error']:.2f}"


def measured(run: Run | Cascade, way: Way, dataset: Dataset, n: int) -> Row:
    """Score `n` samples of a way."""
    labels = classes_to_ask(dataset, n)
    request = run.request(n, labels, FIRST_SEED, **way.how)
    *_, last = run.walk(request, range(1))
    samples = torch.from_numpy(run.sample(n, labels, FIRST_SEED, **way.how))
    scores = evaluate(samples, request.labels, dataset, judge_for(dataset))
    assert scores.read_as_asked is not None
    alone = median(timed(run, 1, way.how) for _ in range(ROUNDS))
    known = "as above" if way.how else bits(run, 256)
    return Row(
        last.moment.evaluations,
        scores.read_as_asked,
        scores.frechet.mean,
        scores.floor.mean,
        known,
        alone,
        [],
    )


def line(way: Way, row: Row) -> str:
    """Return a row as a line of the table."""
    return (
        f"| {way.name} (`{way.recipe}`) | {row.passes} | "
        f"{BATCH / median(row.seconds):,.0f} | {row.alone:.2f} | "
        f"{row.asked:.1%} | {row.distance:.2f} | {row.bits} |"
    )


def page(rows: dict[str, Row], rates: dict[str, float | None], arguments: argparse.Namespace) -> str:
    """Return the table, and what it is of."""
    lines = "\n".join(line(way, rows[way.name]) for way in WAYS if way.name in rows)
    floor = next(iter(rows.values())).floor
    rate = ", ".join(f"{name} {value:.2f}" for name, value in rates.items() if value) or "not measured now"
    return (
        f"{HEAD}\n{lines}\n\n"
        f"{Path(arguments.data).name}, {arguments.budget} of training each on two cores, one training of "
        f"seed 0; {arguments.samples:,} samples from seed {FIRST_SEED:,} on; the floor of the "
        f"distance, real pictures against real ones, is {floor:.2f}. {PRODUCT} (TFLOP/s): {rate}. "
        f"{versions('torch', 'sfumato')}.\n"
    )


def into(docs: Path, table: str) -> None:
    """Put the table between the markers of a page."""
    before, rest = docs.read_text().split(MARKS[0])
    _, after = rest.split(MARKS[1])
    docs.write_text(f"{before}{MARKS[0]}\n{table}{MARKS[1]}{after}")


def main() -> None:
    """Train what is missing, measure, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--budget", default="300s")
    parser.add_argument("--samples", type=int, default=2000)
    parser.add_argument("--runs", type=Path, default=Path("runs/orders"))
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    parser.add_argument("--docs", type=Path)
    parser.add_argument("--without", default="", help="recipes to leave out, such as next-pixel")
    arguments = parser.parse_args()
    ways = [way for way in WAYS if way.recipe not in arguments.without.split(",")]
    rates = {
        way.recipe: train(way.recipe, arguments.data, arguments.budget, arguments.runs / way.recipe)
        for way in ways
    }
    runs = {way.recipe: opened(arguments.runs / way.recipe) for way in ways}
    dataset = load_data(arguments.data)
    rows = {way.name: measured(runs[way.recipe], way, dataset, arguments.samples) for way in ways}
    for _ in range(ROUNDS):
        for way in ways:
            rows[way.name].seconds.append(timed(runs[way.recipe], BATCH, way.how))
    table = page(rows, rates, arguments)
    arguments.out.mkdir(parents=True, exist_ok=True)
    name = f"orders-{Path(arguments.data).stem}-{date.today().isoformat()}"
    for way in (way for way in ways if not way.how):
        grid = picture(runs[way.recipe].sample(50, seed=FIRST_SEED, **way.how), columns=10)
        save_image(arguments.out / f"{name}-{way.recipe}.png", grid)
    (arguments.out / f"{name}.md").write_text(f"# Three orders and diffusion\n\n{table}")
    if arguments.docs:
        into(arguments.docs, table)
    print(table)


if __name__ == "__main__":
    main()

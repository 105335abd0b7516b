"""What each choice of the `images` recipe is worth: the recipe against itself with one choice undone.

    python benchmarks/races.py --data digits --budget 10s --seeds 3

Every variant is trained for the same time from the same seeds, in turns (all variants of seed 0, then of
seed 1, …), because a machine's speed drifts. Samples are taken by the recipe's own sampler without guidance.
"""

import argparse
import tempfile
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import torch
from machine import PRODUCT, matrix_rate, versions

import sfumato
from sfumato.data import Dataset
from sfumato.metrics import classes_to_ask, evaluate, judge_for

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Variant:
    """A choice undone: what is set otherwise in training, and in sampling."""

    name: str
    settings: tuple[str, ...] = ()
    sampling: dict[str, Any] = field(default_factory=dict)


ADAM = ("optimiser=adamw", "training.learning_rate=0.003")
EDM_GRID = {"sampler": "dpm++2m", "grid": {"name": "rho", "rho": 7.0, "ratio_min": 0.002}, "steps": 18}
VARIANTS = (
    Variant("the recipe"),
    Variant("AdamW at 3e-3 for Muon at 6e-3", ADAM),
    Variant("Muon at 3e-3", ("training.learning_rate=0.003",)),
    Variant("guidance not learned", ("objective=denoising",)),
    Variant("guidance not learned, sampled with 1.5", ("objective=denoising",), {"guidance": 1.5}),
    Variant("learned guidance 2", ("objective.guidance=2.0",)),
    Variant("batches of 128", ("training.batch=128",)),
    Variant("training times of EDM", ("times.mean=-1.2",)),
    Variant("without attention", ("network.attention=false",)),
    Variant("EDM's grid, 18 evaluations", (), EDM_GRID),
)


def measure(variant: Variant, seed: int, data: Dataset, budget: str, n: int) -> dict[str, float]:
    """Train, sample and score one variant from one seed."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        run = sfumato.fit(data, out, "images", budget, seed, variant.settings)
        labels = classes_to_ask(data, n)
        samples = run.sample(n, labels, 10_000 * (seed + 1), **variant.sampling)
        asked = run.request(n, labels).labels
        scores = evaluate(torch.from_numpy(samples), asked, data, judge_for(data))
        assert scores.read_as_asked is not None
        found = {"frechet": scores.frechet.mean, "floor": scores.floor.mean, "steps": float(run.done.steps)}
    found["read"] = 100 * scores.read_as_asked
    print(f"{variant.name}, seed {seed}: {found}", flush=True)
    return found


def row(variant: Variant, found: list[dict[str, float]]) -> str:
    """Return a line of the table: means, with the standard deviation over seeds where there are several."""

    def told(key: str, form: str) -> str:
        values = [one[key] for one in found]
        return f"{mean(values):{form}}" + (f" ± {stdev(values):{form}}" if len(values) > 1 else "")

    cells = (variant.name, told("steps", ".0f"), told("frechet", ".2f"), told("read", ".1f") + " %")
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", default="digits", help="as for sfumato train; it must have labels")
    parser.add_argument("--budget", default="10s")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("-n", type=int, default=1000, help="samples that are scored")
    parser.add_argument("--out", type=Path, default=RESULTS)
    args = parser.parse_args()
    torch.set_num_threads(2)
    data = sfumato.load_data(args.data)
    before, results = matrix_rate(), {variant: [] for variant in range(len(VARIANTS))}
    for seed in range(args.seeds):
        for number, variant in enumerate(VARIANTS):
            results[number].append(measure(variant, seed, data, args.budget, args.n))
    floor = mean(one["floor"] for found in results.values() for one in found)
    lines = [
        f"# Races on {data.name}, {date.today()}",
        f"{args.budget} of training each, seeds 0 to {args.seeds - 1}, {args.n:,} samples without guidance "
        f"unless said; the floor of the Fréchet distance is {floor:.2f}. {PRODUCT} {before:.2f} "
        f"TFLOP/s before and {matrix_rate():.2f} after. {versions('sfumato', 'torch')}.",
        "| one choice undone | steps | Fréchet distance | read as asked |\n|---|---|---|---|\n"
        + "\n".join(row(variant, results[number]) for number, variant in enumerate(VARIANTS)),
    ]
    text = "\n\n".join(lines) + "\n"
    (args.out / f"races-{data.name}-{date.today()}.md").write_text(text)
    print("\n" + text)


if __name__ == "__main__":
    main()

"""What a line reads off embeddings that were learned without labels, beside those of no training at all.

    python benchmarks/probe.py --data mnist.npz --budget 600        ten minutes at 1 TFLOP/s

A contrastive encoder sees the training pictures, never their labels, for `--budget` seconds at 1 TFLOP/s of
bf16 matrix product (2048³; at a measured R TFLOP/s it is budget/R seconds). Then logistic regression learns
the labels from the embeddings of the training split and is asked about the held-out one: on MNIST all 60,000
and all 10,000. The same probe of the encoder before training, and of the pixels, stands beside it.
"""

import argparse
import tempfile
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from time import perf_counter

import torch
from machine import PRODUCT, matrix_rate, versions

import sfumato
from sfumato.app.embedding_panels import embedding_panels
from sfumato.families.contrasting.geometry import collapse
from sfumato.metrics.probe import Encode, probe, raw
from sfumato.runs.model import build_model, codes
from sfumato.runs.run import Run

RESULTS = Path(__file__).parent / "results"


def encoders(run: Run) -> Iterator[tuple[str, Encode]]:
    """Yield what is probed, by name."""
    fresh = build_model(run.config)
    yield "trained without labels", run.encode
    yield "untrained", lambda examples: codes(fresh, run.scaling.to_model(examples), None)
    yield "the pixels themselves", raw


def figures(run: Run) -> dict[str, float]:
    """Return the last figures that the encoder measured of itself on held-out examples."""
    last: dict[str, float] = {}
    for row in run.history:
        last |= row
    return last


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", default="digits", help="as for sfumato train; it must have labels")
    parser.add_argument("--budget", type=float, default=600, help="seconds at 1 TFLOP/s")
    parser.add_argument("--steps", type=int, help="train for so many steps instead")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="settings")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the page and its pictures")
    args = parser.parse_args()
    data, rate = sfumato.load_data(args.data), matrix_rate()
    budget = f"{args.steps}steps" if args.steps else f"{args.budget / rate:.0f}s"
    settings = ("training.batch=256", *args.settings)
    with tempfile.TemporaryDirectory() as folder:
        run = sfumato.fit(data, Path(folder) / "run", "contrastive", budget, args.seed, settings)
        rows = []
        for name, encode in encoders(run):
            start, found = perf_counter(), probe(encode, data)
            rows.append(f"| {name} | {100 * found.accuracy:.2f} % |")
            print(rows[-1], f"{perf_counter() - start:.0f} s", flush=True)
        drawn, measured = embedding_panels(run, data), figures(run)
    print(collapse(measured) or "no collapse", measured)
    name = f"probe-{data.name}-{date.today()}"
    for figure in drawn:
        figure.picture.save(args.out / f"{name}-{figure.name}.png", optimize=True)
    text = (
        f"# A linear probe on {data.name}, {date.today()}\n\n"
        f"Budget {args.budget:g} s at 1 TFLOP/s: {run.done.steps:,} steps in {run.done.seconds:.0f} s, "
        f"seed {args.seed}; probed on {len(data.held_out):,} examples after "
        f"{len(data.train):,} labels. {PRODUCT} {rate:.2f} TFLOP/s before and {matrix_rate():.2f} "
        f"after, {torch.get_num_threads()} threads. {versions('sfumato', 'torch', 'scikit-learn')}.\n\n"
        f"| embedding | read by a line |\n|---|---|\n" + "\n".join(rows) + "\n"
    )
    (args.out / f"{name}.md").write_text(text)
    print("\n" + text)


if __name__ == "__main__":
    main()

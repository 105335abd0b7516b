"""Families on MNIST for the same time: diffusion in pixels, in codes, and an adversarial network.

    SFUMATO_DATA=FOLDER python benchmarks/families.py --runs runs/families

Each is trained for `--budget` seconds at 1 TFLOP/s of bf16 matrix product (2048³; at a measured R TFLOP/s it
is budget/R seconds): the latent models a third of it for their autoencoder and the rest in the codes, which
are small maps or vectors. Then 2,000 samples of each are scored, and samples a second are timed in turns
(A B C A B C …). A run that stands in `--runs` already is scored again and not trained.
"""

import argparse
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from fast_parts.rounds import Contestant, race
from machine import PRODUCT, matrix_rate, versions

import sfumato
from sfumato.data import Dataset
from sfumato.metrics import classes_to_ask, evaluate, judge_for
from sfumato.runs.run import Run

AUTOENCODER_SHARE = 1 / 3
TIMED = 128
Fit = Callable[..., Run]


@dataclass(frozen=True)
class Work:
    """What there is to train on, for how many seconds at 1 TFLOP/s, and where it goes."""

    data: Dataset
    budget: float
    runs: Path
    seed: int

    def fit(self, name: str, share: float = 1.0, **how: object) -> Run:
        """Return the run of a name, trained for a share of the budget unless it is there."""
        folder = self.runs / name
        if not folder.exists():
            rate = matrix_rate()
            seconds = share * self.budget / rate
            print(f"  {name}: {seconds:.0f} s at {rate:.2f} TFLOP/s", flush=True)
            sfumato.fit(self.data, folder, budget=f"{seconds:.0f}s", seed=self.seed, **how)  # type: ignore[arg-type]
        return sfumato.open_run(folder)


def in_pixels(work: Work) -> Run:
    """Train the default recipe."""
    return work.fit("pixels")


def in_codes(work: Work) -> Run:
    """Train an autoencoder, then the default recipe in its codes."""
    autoencoder = work.fit("autoencoder", AUTOENCODER_SHARE, recipe="autoencoder")
    return work.fit("codes", 1 - AUTOENCODER_SHARE, latent=autoencoder)


def in_flat_codes(work: Work) -> Run:
    """Train an autoencoder whose codes are vectors, then the default recipe in them, a perceptron."""
    flat = ("family.latent=64",)
    autoencoder = work.fit("flat-autoencoder", AUTOENCODER_SHARE, recipe="autoencoder", settings=flat)
    return work.fit("flat-codes", 1 - AUTOENCODER_SHARE, latent=autoencoder)


def adversarial(work: Work) -> Run:
    """Train a generator against a critic."""
    return work.fit("gan", recipe="gan")


FAMILIES: dict[str, Callable[[Work], Run]] = {
    "pixels": in_pixels,
    "codes": in_codes,
    "flat-codes": in_flat_codes,
    "gan": adversarial,
}


def line(name: str, run: Run, data: Dataset, n: int, rate: float) -> str:
    """Score a run and return its line of the table."""
    labels = classes_to_ask(data, n)
    samples = run.sample(n, labels, seed=100_000)
    asked = run.request(n, labels).labels
    scores = evaluate(torch.from_numpy(samples), asked, data, judge_for(data))
    ratio = "–" if scores.ratio is None else f"{scores.ratio.mean:.2f}"
    return (
        f"| {name} | {run.done.steps:,} | {run.done.seconds:.0f} | {scores.frechet.mean:.3f} | {ratio} "
        f"| {scores.read_as_asked:.1%} | {scores.classes_evenness:.4f} | {rate:,.0f} |"
    )


def sampling_rates(runs: dict[str, Run], rounds: int) -> dict[str, float]:
    """Return samples a second of each run, timed in turns."""

    def sampler(run: Run) -> Callable[[], np.ndarray]:
        return lambda: run.sample(TIMED)

    timed = race([Contestant(name, TIMED, sampler(run)) for name, run in runs.items()], rounds)
    return {one.name: one.rate for one in timed}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--only", help="names with commas between, of pixels, codes, flat-codes, gan")
    parser.add_argument("--budget", type=float, default=600.0, help="seconds of training at 1 TFLOP/s")
    parser.add_argument("--samples", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--runs", type=Path, default=Path("runs/families"))
    args = parser.parse_args()
    data = sfumato.load_data(Path(os.environ["SFUMATO_DATA"]) / "mnist.npz")
    chosen = args.only.split(",") if args.only else list(FAMILIES)
    work = Work(data, args.budget, args.runs, args.seed)
    print(f"{PRODUCT} {matrix_rate():.2f} TFLOP/s; {versions('sfumato', 'torch')}", flush=True)
    runs = {name: FAMILIES[name](work) for name in chosen}
    rates = sampling_rates(runs, args.rounds)
    print("| family | steps | s | Fréchet distance | × floor | read as asked | evenness | samples/s |")
    print("|---|--:|--:|--:|--:|--:|--:|--:|")
    for name, run in runs.items():
        print(line(name, run, data, args.samples, rates[name]), flush=True)
    print(f"{args.samples:,} samples, seed {args.seed}; {matrix_rate():.2f} TFLOP/s after")


if __name__ == "__main__":
    main()

"""Does a linear autoencoder find the principal components? (lecture row A1)

    python benchmarks/components.py

Trains the recipe on scikit-learn's digits for d = 2, 8 and 16 numbers a code, and compares its decoder's
column space and its error with those of the exact components of the training examples. Prints the largest
principal angle in degrees and the ratio of the errors; less than a minute. Exits 1 unless all are held.
"""

import argparse
import tempfile
from pathlib import Path

import torch

import sfumato
from sfumato.data import Dataset
from sfumato.runs.run import Run

GOALS = (1.0, 0.01)
"""Degrees, and the share by which the error may exceed that of the components."""


def examples_of(run: Run, data: Dataset) -> torch.Tensor:
    """Return the training examples as the model sees them, flat: (N, D) of float64."""
    every = data.train.store.take(torch.arange(len(data.train)))
    return run.scaling.to_model(every).flatten(1).double()


def compared(run: Run, data: Dataset, latent: int) -> tuple[float, float]:
    """Return the largest principal angle in degrees, and the error over that of the components."""
    x = examples_of(run, data)
    centred = x - x.mean(0)
    components = torch.linalg.svd(centred, full_matrices=False).Vh[:latent].T
    # The columns of V: what each unit code adds to the picture of none.
    codes = torch.cat([torch.zeros(1, latent), torch.eye(latent)])
    decoded = run.family.decode(codes, None).flatten(1).double()
    ours = torch.linalg.qr((decoded[1:] - decoded[0]).T).Q
    cosines = torch.linalg.svdvals(ours.T @ components).clamp(max=1)
    best = (centred - centred @ components @ components.T).square().mean()
    every = data.train.store.take(torch.arange(len(data.train)))
    seen = run.family.decode(run.family.encode(run.scaling.to_model(every), None), None)
    error = (seen.flatten(1).double() - x).square().mean()
    return float(torch.rad2deg(torch.acos(cosines.min()))), float(error / best)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--budget", default="3000steps")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    data, held = sfumato.load_data("digits"), True
    print("   d   largest angle   error over the components'")
    for latent in (2, 8, 16):
        with tempfile.TemporaryDirectory() as folder:
            run = sfumato.fit(
                data,
                Path(folder) / "run",
                recipe="linear-autoencoder",
                budget=args.budget,
                seed=args.seed,
                settings=[f"family.latent={latent}"],
            )
            angle, ratio = compared(run, data, latent)
        held &= angle < GOALS[0] and ratio < 1 + GOALS[1]
        took = f"{run.done.steps:,} steps, {run.done.seconds:.0f} s"
        print(f"  {latent:2d}   {angle:10.3f}°   {ratio:12.5f}   {took}")
    raise SystemExit(not held)


if __name__ == "__main__":
    main()

"""One jump or many steps: what a denoising network makes of a picture under more and more noise.

    python benchmarks/denoising.py [--budget 60s] [--run runs/denoising] [--out benchmarks/results]

A diffusion model is trained on scikit-learn's digits without their labels. Held-out digits x are noised,
x_t = x + sigma·eps, and given back to it in two ways: by its estimate, one jump, which is a denoising
autoencoder told its level; and by walking down the levels from there, asking the same network at each.

    one jump    D(x_t) = E[x | x_t], the mean of all digits that x_t may come from: no answer has less squared
                error, and where they differ it is a blur
    many steps  a draw from p(x | x_t): another digit, as likely as x itself, with E|x' − x|² = 2·E|D − x|²

So the squared error alone says that walking is worse. What it is for is seen by the other columns: the
Fréchet distance to real digits in a classifier's features, the share of outputs that lie as near to a
training digit there as 95 % of unseen real ones do, and how much of the digits' variance the outputs keep.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import sfumato
from sfumato.data import Dataset, load_data
from sfumato.diffusion.denoiser import Denoiser
from sfumato.diffusion.samplers import ancestral, sample_frames
from sfumato.diffusion.schedules import time_of_log_snr
from sfumato.metrics import Judge, frechet_between, judge_for
from sfumato.randomness import SeededNoise
from sfumato.runs.run import Run

SIGMAS = (0.1, 0.2, 0.4, 0.7, 1.0, 1.5, 2.5, 5.0, 20.0)
SHOWN_SIGMAS, SHOWN = (0.4, 1.0, 2.5, 20.0), 12
RATIO = 0.9
"""Of each level to the one before it on the way down, to 0.02."""
LEAST = 0.02
WAYS = ("one jump", "many steps")
EXPLAINED = (__doc__ or "").split("\n\n", 2)[2].strip()
"""What the page says of it: the docstring without its title and command."""


@dataclass(frozen=True)
class Row:
    """What one way makes of one level: squared error for a range of 1, and the other columns."""

    sigma: float
    way: str
    error: float
    frechet: float
    real: float
    variance: float


def unlabelled(digits: Dataset) -> Dataset:
    """Return the same digits, split alike, without their labels."""
    from sklearn.datasets import load_digits

    plain = load_data(np.rint(load_digits().images * (255 / 16)).astype(np.uint8))
    assert torch.equal(everything(plain.held_out), everything(digits.held_out))
    return plain


def everything(split: sfumato.data.Split) -> Tensor:
    return split.store.take(torch.arange(len(split)))


@torch.no_grad()
def walked(denoiser: Denoiser, x_t: Tensor, sigma: float, noise: SeededNoise) -> Tensor:
    """Return a draw from p(x | x_t) by ancestral steps: (B, ...)."""
    steps = max(2, round(np.log(LEAST / sigma) / np.log(RATIO)))
    sigmas = torch.logspace(np.log10(sigma), np.log10(LEAST), steps, dtype=torch.float64)
    times = torch.cat([time_of_log_snr(denoiser.schedule, -2 * sigmas.log()), torch.zeros(1)])
    *_, last = sample_frames(denoiser, ancestral(), x_t, times, noise, None)
    return last.x0


@torch.no_grad()
def outputs(run: Run, x: Tensor, sigma: float, seed: int) -> tuple[Tensor, dict[str, Tensor]]:
    """Return x: (B, ...) under noise, and what each way makes of it."""
    denoiser = run.diffusion.family.denoiser
    noise = SeededNoise(range(seed, seed + len(x)))
    x_t = x + sigma * noise.normal(x.shape)
    t = time_of_log_snr(denoiser.schedule, torch.tensor(-2 * np.log(sigma)))
    jump = denoiser.estimate(x_t, t, None).x0.clamp(-1, 1)
    return x_t, dict(zip(WAYS, (jump, walked(denoiser, x_t, sigma, noise).clamp(-1, 1)), strict=True))


class Ruler:
    """Measures outputs against the digits."""

    def __init__(self, run: Run, judge: Judge, data: Dataset) -> None:
        self.run, self.judge = run, judge
        self.train, self.unseen = (judge.features(everything(part)) for part in (data.train, data.held_out))
        self.near = float(torch.quantile(self._distances(self.unseen), 0.95))
        self.floor = frechet_between(self.unseen, self.train)

    def _distances(self, features: Tensor) -> Tensor:
        return torch.cdist(features, self.train).min(1).values

    def row(self, sigma: float, way: str, made: Tensor, x: Tensor) -> Row:
        features = self.judge.features(self.run.scaling.to_data(made))
        return Row(
            sigma,
            way,
            float((made - x).square().mean()) / 4,
            frechet_between(features, self.train),
            float((self._distances(features) <= self.near).double().mean()),
            float(made.var(0).sum() / x.var(0).sum()),
        )


def measure(run: Run, ruler: Ruler, x: Tensor, repeats: int) -> Iterator[Row]:
    """Yield the rows, each the mean over `repeats` draws of noise."""
    for sigma in SIGMAS:
        found: dict[str, list[Row]] = {way: [] for way in WAYS}
        for repeat in range(repeats):
            for way, made in outputs(run, x, sigma, 10_000 * repeat)[1].items():
                found[way].append(ruler.row(sigma, way, made, x))
        for way, rows in found.items():
            means = np.mean([[row.error, row.frechet, row.real, row.variance] for row in rows], axis=0)
            yield Row(sigma, way, *means.tolist())


def page(rows: list[Row], ruler: Ruler, run: Run, picture: str) -> str:
    """Return the result as Markdown."""
    by = {(row.sigma, row.way): row for row in rows}
    lines = []
    for sigma in SIGMAS:
        jump, steps = (by[sigma, way] for way in WAYS)
        lines.append(
            f"| {sigma:g} | {jump.error:.4f} | {steps.error:.4f} | {steps.error / jump.error:.2f} | "
            f"{jump.frechet:.1f} | {steps.frechet:.1f} | {jump.real:.0%} | {steps.real:.0%} | "
            f"{jump.variance:.0%} | {steps.variance:.0%} |"
        )
    columns = ("error: jump", "steps", "ratio (theory 2)", "Fréchet: jump", "steps")
    columns += ("looks real: jump", "steps", "variance: jump", "steps")
    return f"""# One jump or many steps ({date.today().isoformat()})

{EXPLAINED}

Trained for {run.done.seconds:.0f} s ({run.done.steps:,} steps). Pictures lie in [−1, 1]; errors are for a
range of 1. Real unseen digits: Fréchet distance {ruler.floor:.1f}, 95 % look real.

| sigma | {" | ".join(columns)} |
|---{"|---" * len(columns)}|
{chr(10).join(lines)}

![Curves and pictures]({picture})
"""


def draw(rows: list[Row], ruler: Ruler, strips: list[np.ndarray], path: Path) -> None:
    """Draw three curves by sigma, and below them a few digits at a few levels, each way."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.6, 8.4), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=(1, 1.9))
    columns = (("error", "squared error"), ("frechet", "Fréchet distance"), ("real", "looks real"))
    for axis, (name, title) in zip(above.subplots(1, 3), columns, strict=True):
        for way in WAYS:
            values = [getattr(row, name) for row in rows if row.way == way]
            axis.plot(SIGMAS, values, marker="o", markersize=3, label=way)
        axis.set(xscale="log", xlabel="sigma", title=title, ylim=(0, None))
    above.axes[1].axhline(ruler.floor, color="grey", linewidth=0.8, linestyle=":")
    above.axes[2].axhline(0.95, color="grey", linewidth=0.8, linestyle=":")
    above.axes[0].legend(frameon=False)
    names = [f"sigma {sigma:g}\n{what}" for sigma in SHOWN_SIGMAS for what in ("noisy", *WAYS)]
    for axis, strip, name in zip(below.subplots(len(strips), 1), strips, names, strict=True):
        axis.imshow(strip, cmap="gray_r", vmin=0, vmax=255, interpolation="nearest")
        axis.set_axis_off()
        axis.text(-1, 4, name, ha="right", va="center", fontsize=7)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130, facecolor="white")


def strips(run: Run, x: Tensor) -> Iterator[np.ndarray]:
    """Yield rows of digits: noisy, and made of it each way, at a few levels."""
    for sigma in SHOWN_SIGMAS:
        x_t, made = outputs(run, x[:SHOWN], sigma, 0)
        for row in (x_t / max(1.0, sigma), *made.values()):
            yield np.concatenate(list(run.scaling.to_data(row).numpy()[:, 0]), axis=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--budget", default="60s")
    parser.add_argument("--run", type=Path, default=Path("runs/denoising"))
    parser.add_argument("--repeats", type=int, default=3, help="draws of noise over the held-out digits")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    args = parser.parse_args()
    digits = load_data("digits")
    if (args.run / "config.json").exists():
        run = sfumato.open_run(args.run)
    else:
        run = sfumato.fit(unlabelled(digits), out=args.run, recipe="edm", budget=args.budget)
    ruler = Ruler(run, judge_for(digits), digits)
    x = run.scaling.to_model(everything(digits.held_out))
    rows = list(measure(run, ruler, x, args.repeats))
    name = f"denoising-{date.today().isoformat()}"
    draw(rows, ruler, list(strips(run, x)), args.out / f"{name}.png")
    text = page(rows, ruler, run, f"{name}.png")
    (args.out / f"{name}.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()

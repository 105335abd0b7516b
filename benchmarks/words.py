"""Pictures from words: what a cascade makes of scenes' sentences, by an independent checker.

    python benchmarks/words.py [--budget 600s] [--pictures 500] [--runs runs/words] [--out benchmarks/results]

A cascade (GLIDE: text to 32×32, then 64×64) is trained on the built-in scenes and asked for sentences of the
kinds that training shows and for combinations of words that it never shows. The checker sees pixels alone
(`sfumato.metrics.scene_checker`); variety is the distance of pictures of one sentence. The upsampler's
pictures are averaged down again and compared with what it was given, and their sharpness with bicubic's.
Existing runs in --runs are measured again instead of trained again.
"""

import argparse
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from time import perf_counter

import numpy as np
import torch
from machine import PRODUCT, matrix_rate
from torch import Tensor
from torch.nn import functional as F

from sfumato.app.pictures import picture
from sfumato.data.scenes import sentences
from sfumato.metrics.scene_checker import check, variety
from sfumato.runs.cascade.cascade import Cascade
from sfumato.runs.conditions.picture import averaged

WEIGHTS = (0.0, 1.0, 3.0, 6.0)
KINDS = ("seen", "held-out")
SHOWN = 36
SAME, COPIES = 10, 20
FIRST_SEED = 100_000


@dataclass(frozen=True)
class Row:
    """What pictures of one kind of sentence, at one weight, show of what was asked for."""

    kind: str
    weight: float
    shares: dict[str, float]
    asked: float
    variety: float

    def line(self) -> str:
        """Return the row as a line of a table."""
        names = ("colour", "shape", "position", "size", "relation", "count", "all")
        cells = (f"{self.shares[name]:.1%}" for name in names)
        return (
            f"| {self.kind} | {self.weight:g} | **{self.asked:.1%}** | {' | '.join(cells)} | "
            f"{self.variety:.3f} |"
        )


def measured(cascade: Cascade, kind: str, weight: float, n: int) -> Row:
    """Sample `n` sentences of a kind from the first stage and check them."""
    base, said = cascade.stages[0], sentences(kind, n, seed=1)
    made = torch.from_numpy(base.sample(n, prompts=said, seed=FIRST_SEED, guidance=weight))
    found = check(made, said)
    three = torch.stack([found.right[name] | ~found.asked[name] for name in ("colour", "shape", "position")])
    same = [text for text in sentences(kind, SAME, seed=2) for _ in range(COPIES)]
    many = torch.from_numpy(base.sample(len(same), prompts=same, seed=FIRST_SEED, guidance=weight))
    return Row(kind, weight, found.shares, float(three.all(0).double().mean()), variety(many, same))


@dataclass(frozen=True)
class Larger:
    """The upsampler.

    psnr: of its pictures averaged down with what it was given; truth: of its pictures, and of bicubic's, with
    the true ones; sharpness: of its, bicubic's and the true pictures; seconds: a picture.
    """

    psnr: float
    truth: dict[str, float]
    sharpness: dict[str, float]
    seconds: float


def psnr(a: Tensor, b: Tensor) -> float:
    """Return the peak signal-to-noise ratio of bytes in dB."""
    return float(10 * torch.log10(255**2 / (a.double() - b.double()).square().mean()))


def sharpness(pictures: Tensor) -> float:
    """Return the root mean square of the gradient, for a range of 1: an edge that is spread has less."""
    values = pictures.double() / 255
    return float((values.diff(dim=3).square().mean() + values.diff(dim=2).square().mean()).sqrt())


def enlarged(cascade: Cascade, n: int) -> Larger:
    """Make held-out pictures larger that were made small before."""
    from sfumato.data import load_data

    run = cascade.last
    unseen = load_data(run.config.data.source, **run.config.data.reading).held_out
    large = unseen.store.take(torch.arange(n))
    small = averaged(large, large.shape[-1] // 2)
    start = perf_counter()
    made = torch.from_numpy(
        run.sample(
            n, prompts=unseen.captions[:n], seed=FIRST_SEED, conditions={"picture": list(small.numpy())}
        )
    )
    seconds = (perf_counter() - start) / n
    bicubic = F.interpolate(small.float(), scale_factor=2, mode="bicubic").clamp(0, 255).round().byte()
    sharp = {"made": sharpness(made), "bicubic": sharpness(bicubic), "true": sharpness(large)}
    truth = {"made": psnr(made, large), "bicubic": psnr(bicubic, large)}
    return Larger(psnr(averaged(made, small.shape[-1]), small), truth, sharp, seconds)


def page(rows: list[Row], larger: Larger, cascade: Cascade, rates: list[float], n: int, name: str) -> str:
    """Return all of it as a page."""
    lines = "\n".join(row.line() for row in rows)
    # Only a rate that was measured beside the training says how long it was.
    rate = sum(rates) / len(rates)
    spent = "; ".join(
        f"{stage.folder.name} {stage.done.seconds:.0f} s, {stage.done.steps:,} steps"
        + (f", {stage.done.seconds * rate:.0f} s at 1 TFLOP/s" if len(rates) > 1 else "")
        for stage in cascade.stages
    )
    return f"""# Pictures from words ({date.today().isoformat()})

`python benchmarks/words.py`: the cascade `glide` on the built-in scenes, one training, seed 0, two cores.
Trained for {spent} ({PRODUCT} of this run: {rate:.2f} TFLOP/s). {n:,} pictures a row
from seed {FIRST_SEED:,}, by the base's own sampler at 32×32. "asked" is colour, shape and position together,
each where the sentence speaks of it; "all" has size, relation and count besides. Variety: distance of
{COPIES} pictures of each of {SAME} sentences.

| sentences | guidance | asked | colour | shape | position | size | relation | count | all | variety |
|---|---|---|---|---|---|---|---|---|---|---|
{lines}

![Held-out combinations of words at 64×64, guidance 3]({name})

## The upsampler

Of {min(n, 200)} held-out pictures, averaged to 32×32 and made 64×64 again: averaged down, they agree with
what it was given to {larger.psnr:.1f} dB. With the true pictures they agree to {larger.truth["made"]:.1f} dB,
bicubic's to {larger.truth["bicubic"]:.1f} dB. Root mean square of the gradient:
{larger.sharpness["made"]:.4f}, of bicubic {larger.sharpness["bicubic"]:.4f}, of the true pictures
{larger.sharpness["true"]:.4f}. {larger.seconds:.3f} s a picture.
"""


def grid(cascade: Cascade, path: Path) -> None:
    """Draw pictures of held-out combinations, through both stages."""
    said = sentences("held-out", SHOWN, seed=3)
    made = cascade.sample(SHOWN, prompts=said, seed=FIRST_SEED, guidance=3.0)
    path.parent.mkdir(parents=True, exist_ok=True)
    picture(np.asarray(made), None, captions=said, columns=9).save(path)


def rows_of(cascade: Cascade, n: int) -> Iterator[Row]:
    """Yield a row for each kind and weight, printed as it comes."""
    for kind in KINDS:
        for weight in WEIGHTS:
            row = measured(cascade, kind, weight, n)
            print(row.line(), flush=True)
            yield row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--budget", default="600s")
    parser.add_argument("--pictures", type=int, default=500)
    parser.add_argument("--runs", type=Path, default=Path("runs/words"))
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    args = parser.parse_args()
    folder, rates = args.runs / "glide", [matrix_rate()]
    if not (folder / "cascade.json").exists():
        words = ["train", "scenes", "--size", "64", "--recipe", "glide", "--budget", args.budget]
        subprocess.run([sys.executable, "-m", "sfumato", *words, "--out", str(folder)], check=True)
        rates.append(matrix_rate())
    cascade = Cascade.open(folder)
    name = f"words-{date.today().isoformat()}"
    grid(cascade, args.out / f"{name}.png")
    larger = enlarged(cascade, min(200, args.pictures))
    text = page(list(rows_of(cascade, args.pictures)), larger, cascade, rates, args.pictures, f"{name}.png")
    (args.out / f"{name}.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()

"""The tokenizer of VAR on MNIST: how much of a picture its maps of words keep, and how many words are used.

    SFUMATO_DATA=FOLDER python benchmarks/tokenizer.py [--budget 300] [--runs runs/tokenizer]

The recipe `multiscale-vq` is trained for `--budget` seconds at 1 TFLOP/s of bf16 matrix product (2048³; at a
measured R TFLOP/s it is budget/R seconds), or for a number of steps such as `2000steps`. Then held-out
pictures are written as tokens and decoded from their first maps alone, the rest of them unknown. A run that
stands in `--runs` already is measured again and not trained.
"""

import argparse
import math
import os
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import torch
from machine import matrix_rate, versions
from torch import Tensor

import sfumato
from sfumato.app.pictures import pairs, save_image
from sfumato.families.agreements import UNKNOWN
from sfumato.families.autoencoders.autoencoder import LEAST_MSE
from sfumato.nets.quantiser import perplexity
from sfumato.randomness import generator
from sfumato.runs.model import from_tokens, tokens
from sfumato.runs.run import Run

SHOWN, CHUNK = 16, 500
GOAL = "at least 22 dB with at most 85 tokens a picture, and 80 % of the codebook in use"


@dataclass(frozen=True)
class Kept:
    """Pictures from their first maps: the last of these maps, tokens so far, dB, and its words in play."""

    map: tuple[int, int]
    tokens: int
    psnr: float
    words: float

    def line(self, bits: float) -> str:
        """Return a line of the table. bits: of a token."""
        height, width = self.map
        return (
            f"| {height}×{width} | {self.tokens} | {self.tokens * bits:.0f} | {self.psnr:.2f} "
            f"| {self.words:.0f} |"
        )


def trained(folder: Path, source: str, budget: str, rates: list[float]) -> Run:
    """Return the run, trained unless it is there."""
    if not folder.exists():
        rates.append(matrix_rate())
        words = budget if not budget.isdigit() else f"{int(budget) / rates[0]:.0f}s"
        sfumato.fit(sfumato.load_data(source), folder, recipe="multiscale-vq", budget=words)
        rates.append(matrix_rate())
    return sfumato.open_run(folder)


def psnr(a: Tensor, b: Tensor) -> float:
    """Return the peak signal-to-noise ratio of bytes (N, C, H, W) in dB, the mean of the pictures' own."""
    squares = ((a.double() - b.double()) / 255).square().flatten(1).mean(1)
    return float(-10 * squares.clamp(min=LEAST_MSE).log10().mean())


def measured(run: Run, examples: Tensor) -> tuple[list[Kept], list[Tensor], float]:
    """Return a row for each number of maps, what pictures look like by it, and the share of codes in use."""
    facts = run.family.writing
    written = torch.cat(
        [tokens(run.model, run.scaling.to_model(some)).cpu() for some in examples.split(CHUNK)]
    )
    rows, pictures, before = [], [], 0
    for height, width in facts.maps:
        end = before + height * width
        made = decoded(run, written.where(torch.arange(facts.count) < end, UNKNOWN))
        counts = torch.bincount(written[:, before:end].flatten(), minlength=facts.vocabulary)
        rows.append(Kept((height, width), end, psnr(made, examples), perplexity(counts)))
        pictures.append(made)
        before = end
    return rows, pictures, len(written.unique()) / facts.vocabulary


def decoded(run: Run, written: Tensor) -> Tensor:
    """Return the pictures that tokens (N, L) stand for, as the data is."""
    made = [from_tokens(run.model, some).cpu() for some in written.split(CHUNK)]
    return run.scaling.to_data(torch.cat(made))


def page(run: Run, rows: list[Kept], used: float, n: int, rates: list[float], picture: str) -> str:
    """Return the result as Markdown."""
    bits = math.log2(run.family.writing.vocabulary)
    machine = f" (matrix product {sum(rates) / len(rates):.2f} TFLOP/s)" if rates else ""
    source = Path(run.config.data.source).name
    lines = "\n".join(row.line(bits) for row in rows)
    return f"""# The tokenizer of maps ({date.today().isoformat()})

`python benchmarks/tokenizer.py`: `multiscale-vq` on {source}, trained for
{run.done.seconds:.0f} s{machine}, {run.done.steps:,} steps; {versions("torch")}.
Of {n:,} held-out pictures, as the mean of the pictures' own: **{rows[-1].psnr:.1f} dB** with
{rows[-1].tokens} tokens, and **{used:.0%}** of {run.family.writing.vocabulary} codes used.
Wished: {GOAL}.

From the first maps alone, the rest unknown; "in play" is the exponential of the entropy of the last map's
tokens:

| maps up to | tokens | bits | dB | codes in play |
|---|---|---|---|---|
{lines}

![Held-out pictures, and below them one map, two, … and all]({picture})
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    folder = os.environ.get("SFUMATO_DATA", ".")
    parser.add_argument("--data", default=str(Path(folder) / "mnist.npz"))
    parser.add_argument("--budget", default="300")
    parser.add_argument("--pictures", type=int, default=10_000)
    parser.add_argument("--runs", type=Path, default=Path("runs/tokenizer"))
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    args = parser.parse_args()
    rates: list[float] = []
    run = trained(args.runs / "maps", args.data, args.budget, rates)
    unseen = sfumato.load_data(run.config.data.source).unseen
    chosen = torch.randperm(len(unseen), generator=generator(0, "reconstruct"))[: args.pictures]
    examples, _ = unseen.batch(chosen)
    rows, made, used = measured(run, examples)
    name = f"tokenizer-{date.today().isoformat()}"
    args.out.mkdir(parents=True, exist_ok=True)
    columns = [part[:SHOWN].numpy() for part in (examples, *made)]
    save_image(args.out / f"{name}.png", pairs(*columns, columns=SHOWN))
    text = page(run, rows, used, len(examples), rates, f"{name}.png")
    (args.out / f"{name}.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()

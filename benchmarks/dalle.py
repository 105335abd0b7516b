"""DALL·E 2 on scenes: what passes from a sentence through an embedding into a picture.

    python benchmarks/dalle.py [--budget 840s] [--pictures 500] [--runs runs/words] [--out benchmarks/results]

The cascade `dalle` (CLIP, prior, decoder, upsampler) is trained on the built-in scenes. Asked are: whether
pictures made through prior and decoder show what seen sentences say (`sfumato.metrics.scene_checker`, which
sees pixels alone); whether the prior's embedding of a caption is nearer to that of its own held-out picture
than to others'; and what of a picture its variations keep. Beside the cascade's prior, which is diffusion, an
autoregressive one is trained for as long on the same CLIP. Runs that stand in --runs are measured again.
"""

import argparse
import subprocess
import sys
from datetime import date
from pathlib import Path

import numpy as np
import torch
from machine import PRODUCT, matrix_rate
from torch import Tensor
from torch.nn import functional as F

from sfumato.app.pictures import picture
from sfumato.data import load_data
from sfumato.data.dataset import Split
from sfumato.data.scenes import parse, sentences
from sfumato.metrics.scene_checker import check, variety
from sfumato.runs.cascade.cascade import Cascade
from sfumato.runs.run import Run

FIRST_SEED, WEIGHTS, SHOWN, VARIATIONS = 100_000, (1.0, 2.0, 3.0), 6, 8


def through_both(prior: Run, decoder: Run, n: int) -> list[str]:
    """Return lines of the table: shares right by the decoder's weight of guidance."""
    said = sentences("seen", n, seed=1)
    codes = prior.sample(n, prompts=said, seed=FIRST_SEED)
    lines = []
    for weight in WEIGHTS:
        made = decoder.sample(n, seed=FIRST_SEED, conditions={"embedding": list(codes)}, guidance=weight)
        found = check(torch.from_numpy(made), said)
        three = [found.right[name] | ~found.asked[name] for name in ("colour", "shape", "position")]
        asked = float(torch.stack(three).all(0).double().mean())
        cells = " | ".join(f"{found.shares[name]:.1%}" for name in ("colour", "shape", "position", "all"))
        lines.append(f"| {prior.config.recipe} | {weight:g} | **{asked:.1%}** | {cells} |")
    return lines


def rank(prior: Run, decoder: Run, unseen: Split) -> tuple[float, float]:
    """Return the mean share of other pictures that lie farther from a prior's embedding than its own, and
    the share of captions for which that is at least 95 %; pictures of equal captions are no others.
    """
    captions = unseen.captions or ()
    pictures = unseen.store.take(torch.arange(len(captions)))
    real = encoded(decoder, pictures)
    guess = torch.from_numpy(prior.sample(len(captions), prompts=captions, seed=FIRST_SEED))
    near = F.normalize(guess.float(), dim=1) @ F.normalize(real.float(), dim=1).T
    texts = np.array(captions)
    others = torch.from_numpy(texts[:, None] != texts[None, :])
    farther = ((near < near.diagonal()[:, None]) & others).sum(1) / others.sum(1)
    return float(farther.mean()), float((farther >= 0.95).double().mean())


def encoded(decoder: object, pictures: Tensor) -> Tensor:
    """Return the embeddings of pictures by the encoder that the decoder keeps."""
    reader = decoder.conditions.readers["embedding"]  # type: ignore[attr-defined]
    parts = [reader.encoder.encode(part).cpu() for part in pictures.split(128)]
    return torch.cat(parts)


def varied(cascade: Cascade, unseen: Split, n: int) -> tuple[float, float, float, Tensor]:
    """Return the shares of variations with colour and shape kept, with all, their variety, and pictures."""
    captions = unseen.captions or ()
    single = [place for place, text in enumerate(captions) if parse(text).second is None][:n]
    originals = unseen.store.take(torch.tensor(single))
    codes = encoded(cascade.stages[1], originals)
    each = codes.repeat_interleave(VARIATIONS, 0)
    decoder = cascade.stages[1]
    made = torch.from_numpy(
        decoder.sample(len(each), seed=FIRST_SEED, conditions={"embedding": list(each.numpy())})
    )
    said = [captions[place] for place in single for _ in range(VARIATIONS)]
    found = check(made, said)
    both = float((found.right["colour"] & found.right["shape"]).double().mean())
    groups = [f"{place}" for place in single for _ in range(VARIATIONS)]
    shown = torch.cat([originals[:SHOWN, None], made.unflatten(0, (-1, VARIATIONS))[:SHOWN]], 1)
    return both, float(found.all.double().mean()), variety(made, groups), shown.flatten(0, 1)


def near(prior: Run, decoder: Run, unseen: Split) -> str:
    """Return a line of the table of priors."""
    mean, most = rank(prior, decoder, unseen)
    done = prior.done
    return f"| {prior.config.recipe} | {done.steps:,} in {done.seconds:.0f} s | {mean:.1%} | {most:.1%} |"


def page(cascade: Cascade, other: Run, rate: float, n: int, unseen: Split, name: str, out: Path) -> str:
    """Measure all and return it as a page; other: a prior to compare."""
    prior, decoder = cascade.stages[:2]
    table = "\n".join(line for each in (prior, other) for line in through_both(each, decoder, n))
    priors = "\n".join(near(each, decoder, unseen) for each in (prior, other))
    both, everything, differ, shown = varied(cascade, unseen, 60)
    picture(shown.numpy(), None, columns=VARIATIONS + 1).save(out / f"{name}.png")
    said = sentences("held-out", 36, seed=3)
    grid = cascade.sample(36, prompts=said, seed=FIRST_SEED)
    picture(grid, None, captions=said, columns=9).save(out / f"{name}-words.png")
    spent = ", ".join(
        f"{stage.folder.name} {stage.done.seconds:.0f} s ({stage.done.steps:,} steps)"
        for stage in cascade.stages
    )
    return f"""# DALL·E 2 on scenes ({date.today().isoformat()})

`python benchmarks/dalle.py`: one training, seed 0: {spent}; CLIP besides; {rate:.2f} TFLOP/s of
{PRODUCT}. {n:,} pictures of seen sentences at 32×32 from seed {FIRST_SEED:,}, through prior and decoder.

| prior | guidance of the decoder | asked | colour | shape | position | all |
|---|---|---|---|---|---|---|
{table}

How many of the other {len(unseen):,} held-out pictures lie farther from what a prior makes of a caption than
the caption's own does, in the mean, and for how many captions that is at least 95 %:

| prior | steps | farther | captions with 95 % |
|---|---|---|---|
{priors}

Variations, {VARIATIONS} of each of 60 held-out pictures of one kind of thing: colour and shape kept in
{both:.1%}, everything that the caption says in {everything:.1%}; variety {differ:.3f}.

![Pictures, and eight variations right of each]({name}.png)

Held-out combinations through all stages:

![Held-out combinations at 64×64]({name}-words.png)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--budget", default="840s")
    parser.add_argument("--pictures", type=int, default=500)
    parser.add_argument("--runs", type=Path, default=Path("runs/words"))
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    args = parser.parse_args()
    folder, rate = args.runs / "dalle", matrix_rate()
    if not (folder / "cascade.json").exists():
        words = ["train", "scenes", "--size", "64", "--recipe", "dalle", "--budget", args.budget]
        subprocess.run([sys.executable, "-m", "sfumato", *words, "--out", str(folder)], check=True)
    other = args.runs / "prior-autoregressive"
    if not (other / "config.json").exists():
        seconds = Cascade.open(folder).stages[0].done.seconds
        words = ["train", "scenes", "--size", "32", "--recipe", "next-number", "--budget", f"{seconds:.0f}s"]
        words += ["--latent", str(folder / "clip"), "--out", str(other)]
        subprocess.run([sys.executable, "-m", "sfumato", *words], check=True)
    rate = (rate + matrix_rate()) / 2
    cascade, name = Cascade.open(folder), f"dalle-{date.today().isoformat()}"
    unseen = load_data("scenes", size=32).held_out
    args.out.mkdir(parents=True, exist_ok=True)
    text = page(cascade, Run.open(other), rate, args.pictures, unseen, name, args.out)
    (args.out / f"{name}.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()

"""Emoji from words: a cascade on captioned pictures, found again by a CLIP that never saw the captions.

    SFUMATO_DATA=FOLDER python benchmarks/emoji.py [--budget 900s] [--runs runs/emoji]

A cascade (32×32, then 64×64) and a CLIP are trained on the training share of a folder of captioned pictures.
The cascade draws the captions that were held out; the CLIP is then asked which of 100 captions a drawn
picture was made from, and which of 100 drawn pictures a caption made: found among the ten nearest, where
guessing finds one in ten. Memorisation is measured beside it, by the distance of drawn pictures to the
training picture nearest to each, over that of held-out pictures.
"""

import argparse
import os
import subprocess
import sys
from datetime import date
from pathlib import Path

import numpy as np
import torch
from machine import PRODUCT, matrix_rate
from torch import Tensor

import sfumato
from sfumato.app.pictures import pairs, picture
from sfumato.data import Dataset, load_data
from sfumato.metrics import nearest
from sfumato.metrics.neighbours import memorisation
from sfumato.metrics.retrieval import Retrieval, dealt, retrieval
from sfumato.runs.cascade.cascade import Cascade
from sfumato.runs.run import Run

FIRST_SEED, GUIDANCE = 100_000, 3.0
SHOWN = 10
PROMPTS = (
    "heavy black heart",
    "grinning face",
    "cat face",
    "slice of pizza",
    "full moon symbol",
    "automobile",
    "green apple",
    "dog face",
    "red circle",
    "woman wearing hat",
)


def train(runs: Path, source: str, budget: str) -> tuple[Cascade, Run]:
    """Return the cascade and the CLIP, trained where they are not there yet."""
    common = [sys.executable, "-m", "sfumato", "train", source]
    if not (runs / "glide" / "cascade.json").exists():
        words = ["--size", "64", "--recipe", "glide", "--budget", budget, "--out", str(runs / "glide")]
        subprocess.run([*common, *words], check=True)
    if not (runs / "clip" / "config.json").exists():
        words = ["--size", "32", "--recipe", "clip", "--budget", "180s", "--out", str(runs / "clip")]
        subprocess.run([*common, *words], check=True)
    return Cascade.open(runs / "glide"), sfumato.open_run(runs / "clip")


def found(clip: Run, pictures: Tensor, captions: tuple[str, ...]) -> list[Retrieval]:
    """Return the top-1 and top-10 of 100 of pictures and the captions that they were made from."""
    codes = torch.from_numpy(clip.encode(pictures))
    texts = torch.from_numpy(clip.encode_text(captions))
    return [retrieval(codes, texts, dealt(captions), k) for k in (1, 10)]


def page(lines: list[str], spent: str, name: str) -> str:
    """Return all of it as a page."""
    return f"""# Emoji from words ({date.today().isoformat()})

`python benchmarks/emoji.py`: {spent}. Guidance {GUIDANCE:g}, pictures of held-out captions from seed
{FIRST_SEED:,}, one training, seed 0.

{chr(10).join(lines)}

![Ten prompts, four pictures each]({name}.png)

Drawn for held-out captions, and below each the nearest training picture:

![Nearest training pictures]({name}-nearest.png)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--budget", default="900s")
    parser.add_argument("--runs", type=Path, default=Path("runs/emoji"))
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    args = parser.parse_args()
    source = f"{os.environ['SFUMATO_DATA']}/emoji.tar"
    rate = matrix_rate()
    cascade, clip = train(args.runs, source, args.budget)
    rate = (rate + matrix_rate()) / 2
    data = load_data(source, size=32)
    known = [place for place, text in enumerate(data.held_out.captions or ()) if heard(clip, cascade, text)]
    captions = tuple((data.held_out.captions or ())[place] for place in known)
    base = cascade.stages[0]
    made = torch.from_numpy(base.sample(len(captions), prompts=captions, seed=FIRST_SEED, guidance=GUIDANCE))
    real = data.held_out.store.take(torch.tensor(known))
    lines = [
        f"- {what}: {name}: {value}"
        for what, pictures in (("drawn", made), ("real", real))
        for result in found(clip, pictures, captions)
        for name, value in result.rows()
    ]
    copied = memorisation(made, data, seed=0)
    ratio = "unknown" if copied.ratio is None else f"{copied.ratio:.2f}"
    lines.append(
        f"- distance to the nearest training picture, over that of held-out pictures: {ratio}; exact copies: "
        f"{copied.copies} of {len(copied.indices)}"
    )
    name = f"emoji-{date.today().isoformat()}"
    show(cascade, made, data, args.out / name)
    spent = ", ".join(f"{stage.folder.name} {stage.done.seconds:.0f} s" for stage in (*cascade.stages, clip))
    text = page(lines, f"{spent}, at {rate:.2f} TFLOP/s of {PRODUCT}", name)
    (args.out / f"{name}.md").write_text(text)
    print(text)


def heard(clip: Run, cascade: Cascade, text: str) -> bool:
    """Return whether anything of a caption is known to both."""
    readers = (clip.sentences, cascade.conditions.readers["text"])
    return all(reader.tokenizer.hears(text) for reader in readers)  # type: ignore[attr-defined]


def show(cascade: Cascade, made: Tensor, data: Dataset, path: Path) -> None:
    """Draw a grid of ten prompts, and drawn pictures above their nearest training pictures."""
    prompts = [prompt for prompt in PROMPTS for _ in range(4)]
    grid = cascade.sample(len(prompts), prompts=prompts, seed=FIRST_SEED, guidance=GUIDANCE)
    path.parent.mkdir(parents=True, exist_ok=True)
    picture(np.asarray(grid), None, captions=prompts, columns=8).save(path.with_name(path.name + ".png"))
    rows, _ = nearest(made[: 2 * SHOWN], data.train.store)
    beside = pairs(made[: 2 * SHOWN].numpy(), data.train.store.take(rows).numpy())
    beside.save(path.with_name(path.name + "-nearest.png"))


if __name__ == "__main__":
    main()

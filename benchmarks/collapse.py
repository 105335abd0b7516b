"""Collapse: how many modes the lecture's game and the default one find, several seeds each.

    python benchmarks/collapse.py [--seeds 5] [--steps 5000] [--out benchmarks/results/collapse-DATE.md]

The data are the built-in ring of 8 and grid of 25 Gaussians. The default game is the recipe `gan`, as
`sfumato train` takes it for points; the lecture's is the same but for its loss, which has no penalties. What
is judged are the 2,000 samples that `sfumato sample` draws: see `sfumato.metrics.modes` for when a mode is
covered and a sample sharp. The page has a row a training, and beside it a picture of seed 0's samples. It
exits 1 unless the default finds every mode, with at least 90 % of its samples sharp, at every seed, and the
lecture's loses some.
"""

import argparse
import math
import sys
import tempfile
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from time import process_time

import numpy as np
import torch
from machine import versions
from PIL import Image
from torch import Tensor

import sfumato
from sfumato.app.pictures.points import scatter
from sfumato.data import load_data
from sfumato.data.dataset import Dataset
from sfumato.metrics.modes import Modes, modes

SAMPLES = 2000
SHARP_ENOUGH = 0.9
GAMES = {
    "default": (),
    "lecture": ("family.loss=lecture", "family.r1=0", "family.r2=0"),
}
"""What each game changes of the recipe."""


def ring() -> tuple[Tensor, float]:
    """Return the centres, (8, 2), and the standard deviation of the ring's Gaussians."""
    angle = torch.arange(8) * (math.pi / 4)
    return math.sqrt(2) * torch.stack([angle.cos(), angle.sin()], 1), 0.1


def grid() -> tuple[Tensor, float]:
    """Return the centres, (25, 2), and the standard deviation of the grid's Gaussians."""
    place = (torch.arange(5) - 2) / math.sqrt(2)
    return torch.cartesian_prod(place, place), 0.05


SETS = {"grid": grid, "ring": ring}


@dataclass(frozen=True)
class Trained:
    """What a training came to. seconds: of one processor."""

    data: str
    game: str
    seed: int
    found: Modes
    samples: np.ndarray
    seconds: float

    def line(self) -> str:
        found = self.found
        cells = (self.data, self.game, self.seed, f"{found.covered} of {found.of}", f"{found.sharp:.1%}")
        return f"| {' | '.join(map(str, cells))} | {self.seconds:.0f} |"


def trained(dataset: Dataset, game: str, seed: int, steps: int) -> Trained:
    """Train a game and judge it."""
    start = process_time()
    with tempfile.TemporaryDirectory() as folder:
        run = sfumato.fit(dataset, Path(folder) / "run", "gan", f"{steps}steps", seed, GAMES[game])
        samples = run.sample(SAMPLES)
    found = modes(torch.from_numpy(samples), *SETS[dataset.name]())
    return Trained(dataset.name, game, seed, found, samples, process_time() - start)


def picture(results: list[Trained]) -> Image.Image:
    """Return the samples of seed 0, a row a data set, on the data they learned from."""
    tiles = {
        (result.data, result.game): scatter(
            result.samples, reference=_points(load_data(result.data)), window=(-2.0, 2.0, -2.0, 2.0)
        )
        for result in results
        if result.seed == 0
    }
    side = 520
    sheet = Image.new("RGB", (side * len(GAMES), side * len(SETS)), "white")
    for (data, game), tile in tiles.items():
        sheet.paste(tile, (side * list(GAMES).index(game), side * list(SETS).index(data)))
    return sheet


def _points(dataset: Dataset) -> np.ndarray:
    return dataset.held_out.batch(torch.arange(len(dataset.held_out)))[0].numpy()


def passed(results: list[Trained]) -> bool:
    """Return whether the default never collapses and is sharp, and the lecture's game collapses."""
    ours = [result.found for result in results if result.game == "default"]
    theirs = [result.found for result in results if result.game == "lecture"]
    whole = all(found.covered == found.of and found.sharp >= SHARP_ENOUGH for found in ours)
    return whole and any(found.covered < found.of for found in theirs)


def page(results: list[Trained], steps: int, shown: str) -> str:
    """Return the result page."""
    rows = "\n".join(result.line() for result in results)
    return (
        f"# Collapse, {date.today()}\n\n"
        f"`python benchmarks/collapse.py --steps {steps}`: {versions('torch')}.\n\n"
        "Modes covered, and samples within three standard deviations of one (of the data's own, 98.9 %).\n\n"
        f"| data | game | seed | modes | sharp | seconds of one core |\n|---|---|---|---|---|---|\n{rows}\n\n"
        f"Samples of seed 0, left the default game, right the lecture's:\n\n![samples]({shown})\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=5000)
    parser.add_argument("--data", choices=SETS, nargs="+", default=list(SETS))
    parser.add_argument("--games", choices=GAMES, nargs="+", default=list(GAMES))
    parser.add_argument("--out", type=Path, default=Path("collapse.md"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    results = []
    for data in options.data:
        dataset = load_data(data)
        for game in options.games:
            for seed in range(options.seeds):
                results.append(trained(dataset, game, seed, options.steps))
                print(results[-1].line(), flush=True)
    drawn = options.out.with_suffix(".png")
    picture(results).save(drawn)
    options.out.write_text(page(results, options.steps, drawn.name))
    sys.exit(not passed(results))


if __name__ == "__main__":
    main()

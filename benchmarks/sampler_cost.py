"""What a sampler costs besides its network: microseconds a step where the network returns what it is shown.

    python benchmarks/sampler_cost.py [--only SAMPLER ...] [--threads 2] [--out FILE.md]

64 pictures of 1×28×28 in float32, on EDM's schedule with EDM's prediction and on the cosine schedule with v,
by every sampler there is. A row is the median over walks that take turns with those of all others, after a
warm-up, so that what else the machine does falls on all alike. "Kept in bounds" has a static threshold
besides, as pictures are sampled by default. Noise is handed in ready-made, because to draw it, from a
generator for each picture, is no sampler's own cost: it stands in a line of its own. The last line is the
price of one pass over the batch.

A sampler that asks its network several times a step pays for as many views and estimates: the last column is
the dearest of the four divided by the evaluations.
"""

import argparse
import platform
import statistics
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import torch
from torch import Tensor

from sfumato.condition import Condition
from sfumato.diffusion.denoiser import Denoiser, NetworkDenoiser
from sfumato.diffusion.grids import Grid, RhoGrid, UniformGrid, times_of
from sfumato.diffusion.prediction import EDM, V
from sfumato.diffusion.samplers import Sampler, sample_frames
from sfumato.diffusion.schedules import CosineVP, LinearVE
from sfumato.diffusion.thresholding import Static, Thresholded
from sfumato.diffusion.view import WithLevel
from sfumato.randomness import SeededNoise
from sfumato.verify.oracle import FixedNoise
from sfumato.verify.pieces import PARTICULAR, SAMPLERS

SHAPE = (64, 1, 28, 28)
SIGMA_DATA = 0.5


def identity(x: Tensor, level: Tensor, condition: Condition | None) -> Tensor:
    """The network that costs nothing."""
    return x


def kept(denoiser: Denoiser) -> Denoiser:
    return Thresholded(denoiser, Static(), (-1.0, 1.0))


VIEW = WithLevel(SIGMA_DATA)
EXPLODING = NetworkDenoiser(identity, LinearVE(), EDM(SIGMA_DATA), VIEW)
COSINE = NetworkDenoiser(identity, CosineVP(), V(), VIEW)
SETTINGS: dict[str, tuple[Denoiser, Grid]] = {
    "exploding, EDM": (EXPLODING, RhoGrid(7.0, 0.002)),
    "cosine, v": (COSINE, UniformGrid()),
    "exploding, EDM, kept in bounds": (kept(EXPLODING), RhoGrid(7.0, 0.002)),
    "cosine, v, kept in bounds": (kept(COSINE), UniformGrid()),
}


@dataclass
class Job:
    """A sampler in a setting: what a walk of it is, how often it asks, and how long its walks took."""

    walk: Callable[[], int]
    steps: int
    evaluations: int = 0
    seconds: list[float] = field(default_factory=list)

    def warm(self) -> None:
        """Walk once, untimed; a second time too, because the first fills what is remembered."""
        self.evaluations = self.walk()
        self.walk()

    def time(self) -> None:
        """Walk once and keep the time."""
        start = time.perf_counter()
        self.walk()
        self.seconds.append(time.perf_counter() - start)

    @property
    def cost(self) -> float:
        """Microseconds a step."""
        return 1e6 * statistics.median(self.seconds) / self.steps


def job(sampler: Sampler, denoiser: Denoiser, grid: Grid, steps: int) -> Job:
    """Build the job of a sampler; its frames are passed by, as `sfumato sample` passes them by."""
    schedule, z = denoiser.schedule, SeededNoise(range(SHAPE[0])).normal(SHAPE)
    x, noise = z * schedule.prior_std, FixedNoise(z)

    def walk() -> int:
        times = times_of(grid, steps, schedule)
        (last,) = deque(sample_frames(denoiser, sampler, x, times, noise), maxlen=1)
        return last.evaluations

    return Job(walk, steps)


def jobs(names: Sequence[str], steps: int) -> dict[str, dict[str, Job]]:
    """Return the jobs by sampler and setting, but for samplers on a schedule they are not made for."""
    return {
        name: {
            setting: job(sampler, denoiser, grid, steps)
            for setting, (denoiser, grid) in SETTINGS.items()
            if name not in PARTICULAR or isinstance(denoiser.schedule, LinearVE)
        }
        for name, sampler in SAMPLERS.items()
        if name in names
    }


def microseconds(run: Callable[[], object], repeats: int = 200) -> float:
    """Return the median time of a call."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return 1e6 * statistics.median(seconds)


def measure(names: Sequence[str], steps: int, walks: int) -> dict[str, dict[str, Job]]:
    """Warm everything up and let all jobs walk in turns."""
    table = jobs(names, steps)
    every = [job for row in table.values() for job in row.values()]
    for one in every:
        one.warm()
    for _ in range(walks):
        for one in every:
            one.time()
    return table


def line(name: str, row: dict[str, Job]) -> str:
    """Return a sampler's line of the table."""
    asked = next(iter(row.values()))
    cells = [f"{row[setting].cost:.0f}" if setting in row else "–" for setting in SETTINGS]
    dearest = max(job.cost * job.steps / job.evaluations for job in row.values())
    return f"| {name} | {asked.evaluations / asked.steps:.3g} | {' | '.join(cells)} | {dearest:.0f} |"


def table(names: Sequence[str] = tuple(SAMPLERS), steps: int = 20, walks: int = 15) -> str:
    """Measure the samplers `names`, and return the Markdown table and the lines below it."""
    rows = measure(names, steps, walks)
    x, noise = torch.zeros(SHAPE), SeededNoise(range(SHAPE[0]))
    return "\n".join(
        [
            f"| sampler | evaluations a step | {' | '.join(f'{name}, µs a step' for name in SETTINGS)} "
            "| µs an evaluation, at most |",
            "|---" * (len(SETTINGS) + 3) + "|",
            *(line(name, row) for name, row in rows.items()),
            "",
            f"To draw the noise of one step from {SHAPE[0]} generators: "
            f"{microseconds(lambda: noise.normal(SHAPE)):.0f} µs, not counted above.",
            f"One pass over the batch, x·0.3: {microseconds(lambda: x * 0.3):.1f} µs.",
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=SAMPLERS, default=list(SAMPLERS), metavar="SAMPLER")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=20, help="of a walk")
    parser.add_argument("--walks", type=int, default=15, help="of which the median is taken")
    parser.add_argument("--out", type=Path, help="where the result page goes [default: printed alone]")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    run = f"`--threads {options.threads} --steps {options.steps} --walks {options.walks}`"
    versions = f"torch {torch.__version__}, Python {platform.python_version()}"
    head = f"# Sampler cost, {date.today()}\n\n{run}, {versions}.\n\n"
    text = head + table(options.only, options.steps, options.walks) + "\n"
    print(text)
    if options.out:
        options.out.write_text(text)


if __name__ == "__main__":
    main()

"""Peak memory of training and of sampling, ours and diffusers', for as many weights and the same batch.

Ours is made as large as theirs by its widths. Each runs in a process of its own, see `memory_child`; what
counts is its peak resident memory above what it held after its imports. Both learn from the same unlabelled
28×28 noise, which is all that memory depends on.
"""

import tempfile
from pathlib import Path

import numpy as np

import sfumato
from fast_parts.networks import diffusers_network
from fast_parts.page import Goal, Section, table
from fast_parts.process import in_process
from fast_parts.settings import NotMeasuredError, Settings
from fast_parts.training import weights_of
from sfumato.data import Dataset
from sfumato.recipes import configure
from sfumato.runs.build import build_diffusion

SHAPE = (1, 28, 28)
PICTURES = 1024
Figures = dict[str, int]


def measure(settings: Settings) -> Section:
    """Measure both works of both libraries, each in a fresh process."""
    if not Path("/proc/self/clear_refs").exists():
        raise NotMeasuredError("peak memory is read from /proc, which this system does not have")
    theirs = weights_of(diffusers_network(SHAPE))
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "noise.npy")
        np.save(source, np.random.default_rng(0).integers(0, 256, (PICTURES, *SHAPE[1:]), dtype=np.uint8))
        widths, ours = matched_widths(sfumato.load_data(source), theirs)
        found = figures(settings, source, Path(folder, "run"), f"network.widths={widths}")
    told = (
        f"{settings.batch} images of 28×28 at once. diffusers has {theirs:,} weights, ours {ours:,} with "
        f"widths {widths}. Resident megabytes; the compiler's own processes are not counted, its memory "
        "within the process is."
    )
    head = ["", "after imports", "peak", "difference"]
    body = [
        [name, *(f"{kilobytes / 1024:.0f}" for kilobytes in (one["before"], one["peak"], used(one)))]
        for name, one in found.items()
    ]
    return Section("Memory", f"{told}\n\n{table(head, body)}", goals(found))


def matched_widths(data: Dataset, weights: int) -> tuple[list[int], int]:
    """Return widths of our default network with the fewest weights that are no fewer, and how many those are.

    All widths grow alike, in multiples of 8; the last one is tuned a little further.
    """
    base = configure(data).network["widths"]
    sizes: dict[int, list[int]] = {}
    for eighths in range(2, 33):
        *widths, last = [8 * max(1, round(width * eighths / 64)) for width in base]
        for tuned in range(max(8, last - 24), last + 32, 8):
            config = configure(data, settings=(f"network.widths={[*widths, tuned]}",))
            sizes[weights_of(build_diffusion(config).module)] = [*widths, tuned]
    nearest = min(size for size in sizes if size >= weights)
    return sizes[nearest], nearest


def figures(settings: Settings, source: Path, run: Path, widths: str) -> dict[str, Figures]:
    """Return what every process held, kilobytes after imports and at its peak, by name."""

    def child(work: str, **arguments: object) -> Figures:
        print(f"  {work} {arguments.get('options', '')}", flush=True)
        return in_process("memory_child", work, settings.threads, batch=settings.batch, **arguments)

    in_process(
        "cold", "fit", settings.threads, source=source, out=run, budget="1steps", seed=0, options=[widths]
    )
    return {
        "training, sfumato as for 5 minutes": child("our_training", source=source, options=[widths]),
        "training, sfumato not compiled": child(
            "our_training", source=source, options=[widths, "training.compile=off"]
        ),
        "training, diffusers": child("diffusers_training", source=source),
        "sampling, sfumato": child("our_sampling", run=run),
        "sampling, diffusers": child("diffusers_sampling"),
    }


def used(figures: Figures) -> int:
    """Return the kilobytes a work took."""
    return figures["peak"] - figures["before"]


def goals(found: dict[str, Figures]) -> tuple[Goal, ...]:
    """Return the two goals."""
    pairs = {"training": "training, sfumato as for 5 minutes", "sampling": "sampling, sfumato"}
    made = []
    for work, ours in pairs.items():
        share = used(found[ours]) / used(found[f"{work}, diffusers"])
        made.append(Goal(f"peak memory of {work}, times diffusers'", "≤ 0.5", f"{share:.2f}", share <= 0.5))
    return tuple(made)

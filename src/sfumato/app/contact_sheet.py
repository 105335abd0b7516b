"""What `sfumato data` does: a table of what was found, and a contact sheet."""

from pathlib import Path
from typing import Any

import torch
from rich.markup import escape

from sfumato.app.console import facts_table, output
from sfumato.app.pictures import can_draw, grid, picture, save_image
from sfumato.app.training import read_data
from sfumato.data import Dataset
from sfumato.data.summary import describe
from sfumato.randomness import generator

PICTURES, POINTS, SHOWN_SKIPPED, SHOWN_NAMES = 100, 4000, 5, 20
CAPTIONED = 12
CAPTION_WIDTH = 256  # pixels, room for some 45 letters


def describe_data(source: str, reading: dict[str, Any], out: Path | None) -> None:
    """Print what is in `source` and draw its contact sheet."""
    dataset = read_data(source, reading)
    found = describe(dataset)
    output.print(facts_table(_rows(found)))
    for skipped in found["skipped"][:SHOWN_SKIPPED]:
        output.print(escape(f"  skipped {skipped['name']}: {skipped['reason']}"))
    if can_draw(dataset.shape):
        path = out or Path(f"{dataset.name}-sheet.png")
        draw = draw_sheet if dataset.train.captions is None else draw_captioned_sheet
        draw(dataset, path)
        output.print(f"contact sheet: {path}")


def _rows(found: dict[str, Any]) -> list[tuple[str, str]]:
    rows = [
        ("name", found["name"]),
        ("examples", f"{found['train']:,} to train on, {found['held_out']:,} held out"),
        ("shape", " × ".join(str(side) for side in found["shape"])),
        ("kept", f"{found['kept']}, {found['bytes'] / 2**20:,.1f} MiB"),
    ]
    named = [kind for kind in ("classes", "attributes") if found[kind]]
    rows += [(f"{len(found[kind])} {kind}", _listed(found[kind])) for kind in named]
    if found["captions"]:
        rows.append(("captions", "yes"))
    if found["skipped"]:
        rows.append(("skipped", f"{len(found['skipped']):,} files"))
    return rows


def _listed(counts: dict[str, dict[str, int]]) -> str:
    """Return the first names with how many examples have each."""
    names = [f"{name} ({sum(of.values()):,})" for name, of in counts.items()]
    more = f", and {len(names) - SHOWN_NAMES} more" if len(names) > SHOWN_NAMES else ""
    return ", ".join(names[:SHOWN_NAMES]) + more


def draw_captioned_sheet(dataset: Dataset, path: Path) -> None:
    """Draw a few training pictures, large enough for a caption under each."""
    chosen = torch.randperm(len(dataset.train), generator=generator(0, "sheet"))[:CAPTIONED]
    examples, _ = dataset.train.batch(chosen)
    captions = [(dataset.train.captions or ())[place] for place in chosen.tolist()]
    scale = max(1, CAPTION_WIDTH // dataset.shape[-1])
    save_image(path, grid(examples.numpy(), columns=4, captions=captions, scale=scale))


def draw_sheet(dataset: Dataset, path: Path) -> None:
    """Draw a random choice of training examples, sorted by label."""
    count = min(len(dataset.train), PICTURES if dataset.is_pictures else POINTS)
    chosen = torch.randperm(len(dataset.train), generator=generator(0, "sheet"))[:count]
    if dataset.train.labels is not None:
        chosen = chosen[dataset.train.labels[chosen].argsort(stable=True)]
    examples, labels = dataset.train.batch(chosen)
    save_image(path, picture(examples.numpy(), None if labels is None else labels.numpy(), columns=10))

"""What `sfumato interpolate` does: three ways from one example to another, side by side.

The straight way between codes, the arc between codes, and the average of the pixels, which is no picture of
anything between its ends. Both examples are encoded by the run itself, so no two runs can be mixed.
"""

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from sfumato.api import PIXELS, WAYS, interpolate
from sfumato.app.console import output
from sfumato.app.encoding import require_way_back
from sfumato.app.pictures import can_draw, film, grid, picture, save_film, save_image
from sfumato.app.scoring import one_process
from sfumato.app.training import read_for
from sfumato.data import Dataset
from sfumato.data.pictures import Form, colour, read_picture
from sfumato.errors import ConfigError
from sfumato.runs.run import Run

TITLES = {"latent": "latent", "spherical": "spherical", PIXELS: "pixels"}


def interpolate_to(run: Run, ends: tuple[str, str], steps: int, path: Path) -> None:
    """Draw the ways between two examples into `path`, .png or .gif.

    ends: each a picture file, or the number of an example of the run's data, those to train on first.
    """
    one_process("interpolate")
    require_way_back(run)
    shape = run.config.data.shape
    if not can_draw(shape):
        raise ConfigError(
            f"examples of shape {shape} cannot be drawn; sfumato.interpolate gives their numbers."
        )
    a, b = (_example(run, end) for end in ends)
    ways = np.stack([interpolate(run, a, b, steps, way) for way in (*WAYS, PIXELS)])
    if path.suffix.lower() == ".gif":
        save_film(path, film(list(ways.swapaxes(0, 1)), captions=list(TITLES.values()), columns=len(ways)))
    else:
        save_image(path, drawn(ways))
    output.print(f"{path}: from {ends[0]} to {ends[1]} in {steps} steps: {', '.join(TITLES.values())}")


def drawn(ways: np.ndarray) -> Image.Image:
    """Draw ways: (3, K, ...): pictures in a row each, with the share of the way; points in a colour each."""
    count, steps = ways.shape[:2]
    examples = ways.reshape(-1, *ways.shape[2:])
    if examples.ndim == 2:
        return picture(examples, np.repeat(np.arange(count), steps))
    shares = [f"{share:.2g}" for share in np.linspace(0, 1, steps)[1:]]
    captions = [word for title in TITLES.values() for word in (title, *shares)]
    return grid(examples, columns=steps, captions=captions)


def _example(run: Run, end: str) -> np.ndarray:
    """Return the example that `end` names, as the data is: uint8 (C, H, W) or float32 (D,)."""
    data = run.config.data
    if Path(end).is_file() and len(data.shape) == 3:
        return read_picture(Path(end), Form(data.shape[1], data.shape[0], colour(data.background)))
    dataset = read_for(run, None)
    count = len(dataset.train) + len(dataset.held_out)
    if not end.isdecimal() or int(end) >= count:
        raise ConfigError(
            f"'{end}' is no example: name a picture file, or a number from 0 to {count - 1} of {data.source}."
        )
    return _numbered(dataset, int(end))


def _numbered(dataset: Dataset, number: int) -> np.ndarray:
    first = len(dataset.train)
    split, place = (dataset.train, number) if number < first else (dataset.held_out, number - first)
    return split.store.take(torch.tensor([place])).numpy()[0]

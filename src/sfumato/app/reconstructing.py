"""What `sfumato reconstruct` does: examples above what is left of them behind their code, and the error.

Of a run that is shown less than the example in training, what it was shown stands between the two.
"""

import math
from pathlib import Path

import numpy as np
import torch

from sfumato.app.console import facts_table, output
from sfumato.app.encoding import require_way_back
from sfumato.app.panels import rows_of, said_of_rows
from sfumato.app.pictures import can_draw, pairs, picture, save_image
from sfumato.app.scoring import one_process
from sfumato.app.training import read_for
from sfumato.errors import ConfigError
from sfumato.families.autoencoders.autoencoder import LEAST_MSE
from sfumato.randomness import generator
from sfumato.runs.rebuilding import rebuilt
from sfumato.runs.run import Run

WHITE = 255
POINTS = 2000
"""Most points drawn."""


def reconstruct_to(run: Run, source: str | None, n: int, shown: int, path: Path) -> None:
    """Rebuild up to `n` examples held out of `source`, print the error, and draw the first `shown`.

    Data with nothing held out is drawn from the examples to train on.
    """
    one_process("reconstruct")
    require_way_back(run)
    if not can_draw(run.shape):
        raise ConfigError(f"examples of shape {run.shape} cannot be drawn: use run.decode(run.encode(x)).")
    dataset = read_for(run, source)
    split = dataset.unseen
    chosen = torch.randperm(len(split), generator=generator(0, "reconstruct"))[:n]
    examples, labels = split.batch(chosen)
    originals, (seen, made) = examples.numpy(), rebuilt(run, examples, labels)
    if originals.ndim == 4:
        save_image(path, pairs(*(part[:shown] for part in rows_of(originals, seen, made))))
    else:
        save_image(path, picture(made[:POINTS], reference=originals[:POINTS]))
    output.print(facts_table(errors(originals, made)))
    output.print(f"{path}: {said_of_rows(originals, seen)}")


def errors(originals: np.ndarray, rebuilt: np.ndarray) -> list[tuple[str, str]]:
    """Return the mean squared error as a table; of pictures for a range of 1, and the peak ratio.

    originals, rebuilt: (N, ...) as the data is. The peak ratio is the mean of the pictures' own; a picture
    whose bytes are all right counts with 59 dB, the error of rounding to bytes.
    """
    count = len(originals)
    difference = originals.astype(np.float64) - rebuilt.astype(np.float64)
    if originals.ndim != 4:
        return [("examples", f"{count:,}"), ("squared error", f"{np.square(difference).mean():.4g}")]
    squares = np.square(difference / WHITE).reshape(count, -1).mean(1)
    peak = -10 * np.log10(np.maximum(squares, LEAST_MSE)).mean()
    return [
        ("examples", f"{count:,}"),
        ("squared error (range 1)", f"{squares.mean():.5f}"),
        ("error of a pixel (of 255)", f"{WHITE * math.sqrt(squares.mean()):.1f}"),
        ("peak ratio (dB)", f"{peak:.1f}"),
    ]

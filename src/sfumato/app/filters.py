"""What `sfumato filters` does: learn filters back from pairs, and draw all in one picture.

A column a filter. The first rows are pictures, the left one as it is, which is what the identity filter
makes of it; then the true weights and the learned ones. Weights and differences are signed: zero is the
middle grey, and the largest value of either sign is black or white.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from sfumato.app.console import facts_table, output
from sfumato.app.pictures import grid, save_image
from sfumato.app.pictures.grids import joined
from sfumato.app.training import read_data
from sfumato.data.scaling import Pixels
from sfumato.errors import ConfigError
from sfumato.nets import filters
from sfumato.randomness import generator

PAIRS = 200
SHOWN = 3
CELL = 112
"""Pixels a side of what is shown: a multiple of 8, 14 and 28."""


def named_filters() -> dict[str, Tensor]:
    """Return every kernel by its name: (side, side)."""
    right, down = filters.sobel()
    return {
        "identity": filters.identity(),
        "average": filters.average(),
        "Gaussian": filters.gaussian(),
        "Sobel x": right,
        "Sobel y": down,
    }


def show_filters(source: str, reading: dict[str, Any], out: Path) -> None:
    """Learn every filter back from 200 pictures of `source`, say how near it came, and draw it."""
    dataset = read_data(source, reading)
    if not dataset.is_pictures:
        raise ConfigError(f"filters slide over pictures, and '{dataset.name}' holds vectors: try digits.")
    order = torch.randperm(len(dataset.train), generator=generator(0, "filters"))[:PAIRS]
    x = Pixels().to_model(dataset.train.batch(order)[0])
    kernels = named_filters()
    learned = {name: filters.learned(x, filters.apply(k, x), len(k)) for name, k in kernels.items()}
    away = {name: float((learned[name] - kernel).abs().max()) for name, kernel in kernels.items()}
    output.print(
        facts_table((name, f"learned from {len(x)} pairs to {error:.1e}") for name, error in away.items())
    )
    save_image(out, sheet(x[:SHOWN], kernels, learned))
    output.print(f"picture: {out}")


def sheet(x: Tensor, kernels: dict[str, Tensor], learned: dict[str, Tensor]) -> Image.Image:
    """Draw pictures x: (B, C, H, W), what each kernel makes of them, and the kernels, true and learned."""
    made = torch.stack([_in_range(filters.apply(kernel, x)) for kernel in kernels.values()], 1)
    names = ["original" if name == "identity" else name for name in kernels]
    rows = [_row(pictures) for pictures in made[:-1]] + [_row(made[-1], names)]
    wide = max(len(kernel) for kernel in kernels.values())
    for title, which in (("true weights", kernels), ("learned weights", learned)):
        shown = torch.stack([_square(kernel, wide) for kernel in which.values()])
        rows.append(_row(shown[:, None].expand(-1, x.shape[1], -1, -1), [title] * len(which)))
    return joined(rows, down=True, gap=0)


def _row(pictures: Tensor, captions: list[str] | None = None) -> Image.Image:
    return grid(_cells(pictures), len(pictures), captions, scale=1)


def _in_range(values: Tensor) -> Tensor:
    """Return values in [−1, 1] as they are, larger ones divided by the largest, with zero where it was."""
    return values / values.abs().max().clamp(min=1)


def _square(kernel: Tensor, side: int) -> Tensor:
    """Return a kernel with a rim of zeros, which changes nothing: (side, side), its largest weight 1."""
    rim = (side - len(kernel)) // 2
    return F.pad(kernel / kernel.abs().max().clamp(min=1e-12), (rim,) * 4)


def _cells(pictures: Tensor) -> np.ndarray:
    """Return pictures in [−1, 1], (N, C, H, W), as bytes of the size they are shown in."""
    height, width = pictures.shape[2:]
    scale = CELL / max(height, width)
    size = [max(1, round(height * scale)), max(1, round(width * scale))]
    return Pixels().to_data(F.interpolate(pictures, size=size, mode="nearest-exact")).numpy()

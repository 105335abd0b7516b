"""The denoising as it happens: an animated GIF, or a strip of its moments on one sheet.

A GIF has at most 256 colours and counts time in hundredths of a second. Grey films keep their 256 levels
exactly; colour films move in one shared palette without dithering, which would flicker.
"""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image

from sfumato.app.pictures.files import write_bytes
from sfumato.app.pictures.grids import checked, grid, joined
from sfumato.app.pictures.painter import Labels, by_rank, painter
from sfumato.app.pictures.points import scatter, window_of
from sfumato.errors import ConfigError, DataError

HOLD = 1500  # milliseconds for which the last frame stands still
_SHORTEST = 40  # milliseconds a frame: below 20 browsers slow a film down
_DITHER = Image.Dither.FLOYDSTEINBERG
_Item = TypeVar("_Item")


def film(
    frames: Sequence[np.ndarray],
    labels: Labels = None,
    *,
    captions: Sequence[str] | None = None,
    columns: int | None = None,
    reference: np.ndarray | None = None,
) -> list[Image.Image]:
    """Draw every frame alike.

    frames: from noise to picture, all uint8 (N, C, H, W) or all floats (N, 2); the rest as for
    `picture`. The last frame decides columns and window, so distant noise may lie outside a scatter.
    """
    paint = painter(_last(frames), labels, captions=captions, columns=columns, reference=reference)
    return [paint(frame) for frame in frames]


def save_film(path: str | Path, frames: Sequence[Image.Image], seconds: float = 4) -> None:
    """Write an endless animated GIF that runs for about `seconds` and then holds its last frame for 1.5 s.

    frames: pictures of one size and mode, as `film` gives them. Of more than 25 a second, evenly spaced
    ones are kept, the first and the last among them.
    Raises ConfigError where the path does not end in .gif or cannot be written, or seconds is not positive.
    """
    if Path(path).suffix.lower() != ".gif":
        raise ConfigError(f"A film is written as an animated GIF: end '{path}' in .gif.")
    if not seconds > 0:
        raise ConfigError(f"A film lasts a positive number of seconds, not {seconds}.")
    _last(frames)
    shown = evenly(frames, max(2, int(seconds * 1000 / _SHORTEST)))
    each = max(_SHORTEST, round(seconds * 100 / len(shown)) * 10)
    first, *others = _in_few_colours(shown)
    buffer = io.BytesIO()
    durations = [each] * len(others) + [HOLD]
    first.save(buffer, "GIF", save_all=True, append_images=others, duration=durations, loop=0, optimize=False)
    write_bytes(path, buffer.getvalue())


def film_strip(frames: Sequence[np.ndarray], rows: int = 4, steps: int = 10) -> Image.Image:
    """Show at most `steps` evenly spaced moments from left to right, the first and the last among them.

    frames: K arrays from noise to picture. Of images, uint8 (N, C, H, W), the first `rows` are shown, a
    row each; of points, (N, 2), all, as one row of small scatters.
    """
    strip = by_rank(_last(frames), {4: _strip_of_images, 2: _strip_of_points})
    return strip(evenly(frames, steps), rows)


def evenly(items: Sequence[_Item], count: int) -> list[_Item]:
    """Return at most `count` of the items, evenly spaced; the last is always kept, the first if count > 1."""
    places = np.linspace(len(items) - 1, 0, min(max(1, count), len(items))).round().astype(int)
    return [items[place] for place in reversed(places.tolist())]


def _strip_of_images(moments: Sequence[np.ndarray], rows: int) -> Image.Image:
    stages = np.stack([checked(moment)[: max(1, rows)] for moment in moments], axis=1)
    return grid(stages.reshape(-1, *stages.shape[2:]), columns=len(moments))


def _strip_of_points(moments: Sequence[np.ndarray], rows: int) -> Image.Image:
    window = window_of(moments[-1])
    return joined([scatter(m, window=window, pixels=150) for m in moments], down=False, gap=6)


def _in_few_colours(frames: Sequence[Image.Image]) -> list[Image.Image]:
    """Return grey frames as they are, colour frames with palettes of 255 colours.

    What moves shares the palette of a few of its moments; the last frame, which stands still and is looked
    at longest, has its own and may be dithered.
    """
    if frames[0].mode == "L":
        return list(frames)
    *moving, last = [frame.convert("RGB") for frame in frames]
    palette = joined(evenly([*moving, last], 6), down=True, gap=0).quantize(255, Image.Quantize.MEDIANCUT)
    still = last.quantize(palette=last.quantize(255, Image.Quantize.MEDIANCUT), dither=_DITHER)
    return [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in moving] + [still]


def _last(frames: Sequence[_Item]) -> _Item:
    if len(frames) == 0:
        raise DataError("A film needs at least one frame.")
    return frames[-1]

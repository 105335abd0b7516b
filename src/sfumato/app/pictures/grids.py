"""Images side by side: enlarged by whole pixels, with thin gutters and, if wished, a word under each.

A cell of w x h pixels at scale k takes kw x kh; a grid of c columns and r rows is then

    width = c·kw + (c + 1)·gutter,    height = r·(kh + caption) + (r + 1)·gutter.

Grey images stay grey ("L") and lie on dark paper, colour images ("RGB") on light paper.
"""

import math
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from sfumato.errors import DataError

GUTTER = 3  # pixels around every cell
CAPTION = 17  # pixels under a cell that has a caption of one line
LINE = 12  # pixels that each further line takes
MOST_LINES = 4
_TARGET = 64  # the wished longer side of a cell, in pixels
_MODES = {1: "L", 3: "RGB"}
_PAPER = {1: 42, 3: 248}
_INK = {1: 205, 3: 60}


def grid(
    images: np.ndarray,
    columns: int | None = None,
    captions: Sequence[str] | None = None,
    scale: int | None = None,
) -> Image.Image:
    """Lay images out row by row.

    images: uint8 (N, C, H, W), C 1 or 3, N at least 1; columns: cells a row, near square by default;
    captions: N texts, broken into lines as wide as their cell, at most four, and cut beyond; scale: the whole
    factor of the enlargement (nearest neighbour), by default what brings small images near 64 pixels.
    Raises DataError where the array is not of that kind or the captions are not N.
    """
    images = checked(images)
    count, channels, height, width = images.shape
    columns = min(count, columns or columns_for(count))
    scale = scale or max(1, round(_TARGET / max(height, width)))
    words = _checked_captions(captions, count)
    lines = [_broken(word, width * scale) for word in words]
    below = LINE * max(map(len, lines)) + CAPTION - LINE if lines else 0
    pitch_x, pitch_y = width * scale + GUTTER, height * scale + below + GUTTER
    rows = math.ceil(count / columns)
    canvas = np.full(
        (rows * pitch_y + GUTTER, columns * pitch_x + GUTTER, channels), _PAPER[channels], np.uint8
    )
    corners = [(GUTTER + i % columns * pitch_x, GUTTER + i // columns * pitch_y) for i in range(count)]
    for image, (x, y) in zip(images, corners, strict=True):
        cell = image.transpose(1, 2, 0).repeat(scale, axis=0).repeat(scale, axis=1)
        canvas[y : y + height * scale, x : x + width * scale] = cell
    sheet = Image.fromarray(canvas[:, :, 0] if channels == 1 else canvas)
    _write(sheet, lines, [(x, y + height * scale) for x, y in corners], width * scale)
    return sheet


def columns_for(count: int, labels: Sequence[int] | np.ndarray | None = None) -> int:
    """Return a good number of columns for `count` images.

    Where the labels cycle 0, 1, ..., k − 1, 0, ... over at most 20 classes, a multiple of k, so that a
    column shows one class: k itself below (2k)² images. Otherwise the square root, rounded up.
    """
    classes = 0 if labels is None or len(labels) == 0 else int(np.max(labels)) + 1
    cycles = 2 <= classes <= 20 and np.array_equal(np.asarray(labels), np.arange(count) % classes)
    if cycles:
        return classes * max(1, math.isqrt(count) // classes)
    return max(1, math.ceil(math.sqrt(count)))


def pairs(samples: np.ndarray, *below: np.ndarray, columns: int = 10) -> Image.Image:
    """Show samples and, under each, what belongs to it, such as its nearest neighbour in training.

    samples and each of `below`: uint8 (N, C, H, W) of one shape; columns: samples a row, the next ones go
    below. Raises DataError where shapes do not match.
    """
    rows = [checked(samples), *map(checked, below)]
    for row in rows:
        if row.shape != rows[0].shape:
            raise DataError(
                f"Samples of shape {rows[0].shape} need neighbours of the same shape, not {row.shape}."
            )
    parts = [[row[i : i + columns] for row in rows] for i in range(0, len(samples), columns)]
    blocks = [grid(np.concatenate(part), len(part[0])) for part in parts]
    return joined(blocks, down=True, gap=4 * GUTTER)


def joined(pictures: Sequence[Image.Image], down: bool, gap: int) -> Image.Image:
    """Join pictures of one mode on their paper, in a column (`down`) or in a row, `gap` pixels apart."""
    along, across = (1, 0) if down else (0, 1)
    size = [0, 0]
    size[along] = sum(picture.size[along] for picture in pictures) + gap * (len(pictures) - 1)
    size[across] = max(picture.size[across] for picture in pictures)
    corner = pictures[0].getpixel((0, 0))
    sheet = Image.new(pictures[0].mode, (size[0], size[1]), corner)
    place = [0, 0]
    for picture in pictures:
        sheet.paste(picture, (place[0], place[1]))
        place[along] += picture.size[along] + gap
    return sheet


def checked(images: np.ndarray) -> np.ndarray:
    """Return `images` if they are uint8 (N, C, H, W) with N at least 1 and C 1 or 3, else raise DataError."""
    images = np.asarray(images)
    fits = images.ndim == 4 and images.dtype == np.uint8 and images.size > 0 and images.shape[1] in _MODES
    if not fits:
        raise DataError(
            "A picture needs one or more images, uint8 (N, C, H, W) with 1 or 3 channels, "
            f"not {images.dtype} {images.shape}."
        )
    return images


def _checked_captions(captions: Sequence[str] | None, count: int) -> list[str]:
    words = [str(word) for word in captions or ()]
    if words and len(words) != count:
        raise DataError(f"{count} images need {count} captions, not {len(words)}.")
    return words


def _write(
    sheet: Image.Image, captions: Sequence[list[str]], places: Sequence[tuple[int, int]], width: int
) -> None:
    """Write each caption's lines centred under its cell, whose lower left corner is its place."""
    font = ImageFont.load_default(size=11)
    draw = ImageDraw.Draw(sheet)
    ink = _INK[len(sheet.getbands())]
    for lines, (x, y) in zip(captions, places, strict=False):
        for number, text in enumerate(lines):
            middle = (x + width / 2, y + CAPTION / 2 + number * LINE)
            draw.text(middle, text, (ink,) * len(sheet.getbands()), font, anchor="mm")


def _broken(text: str, width: int) -> list[str]:
    """Break a text into at most four lines of at most `width` pixels, the last one cut."""
    font = ImageFont.load_default(size=11)
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and (font.getlength(longer) <= width or len(lines) == MOST_LINES):
            lines[-1] = longer
        else:
            lines.append(word)
    return [_shortened(line, font, width) for line in lines] or [""]


def _shortened(word: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> str:
    """Cut a word, with an ellipsis, to at most `width` pixels."""
    word = " ".join(word.split())
    if font.getlength(word) <= width:
        return word
    return next(
        (word[:n] + "…" for n in range(len(word), 0, -1) if font.getlength(word[:n] + "…") <= width), ""
    )

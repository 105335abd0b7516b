"""One picture to a square of bytes.

In order: turn it upright (EXIF), bring it to 8 bits, lay what is transparent over a background, crop the
centre square, shrink with antialiasing (Lanczos after boxes). Nothing is ever squashed or clipped.
"""

import math
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageColor, ImageOps

from sfumato.errors import ConfigError, DataError

# A picture of more pixels is refused before it is decoded: Pillow's own mark of a decompression bomb.
MOST_PIXELS = 89_478_485

# EPS runs another program (Ghostscript) on the file; the others are names for which Pillow has no decoder.
NOT_DECODED = frozenset({"EPS", "BUFR", "GRIB", "HDF5", "MPEG", "WMF"})

USUAL_FORMATS = frozenset({"JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"})


@dataclass(frozen=True)
class Form:
    """What pictures are brought to: `size` × `size` pixels, 1 or 3 `channels`, over an RGB `background`."""

    size: int
    channels: int
    background: tuple[int, int, int]

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        return self.channels, self.size, self.size

    @property
    def nbytes(self) -> int:
        """Bytes of one picture."""
        return math.prod(self.shape)


def colour(name: str) -> tuple[int, int, int]:
    """Return a colour named in Pillow's ways ("white", "#ff8800", "hsl(120, 50%, 50%)") as RGB.

    Raises ConfigError for a name Pillow does not know.
    """
    try:
        red, green, blue = ImageColor.getrgb(name)[:3]
    except (ValueError, AttributeError, TypeError):
        raise ConfigError(
            f"Unknown background '{name}': give a colour's name such as 'white', or one like '#ff8800'."
        ) from None
    return red, green, blue


@cache
def decodable_formats() -> tuple[str, ...]:
    """Return the formats that Pillow itself decodes, in the order in which to try them on a file."""
    Image.init()
    # Some formats have no magic number and are tried in full, so the usual ones come first.
    known = [name for name in Image.ID if name not in NOT_DECODED]
    return tuple(sorted(known, key=lambda name: name not in USUAL_FORMATS))


@cache
def picture_endings() -> frozenset[str]:
    """Return the file endings of those formats, lower case, such as ".png"."""
    formats = decodable_formats()
    return frozenset(ending for ending, name in Image.registered_extensions().items() if name in formats)


def open_picture(content: bytes) -> Image.Image:
    """Read the header of an encoded picture; its pixels are decoded when they are needed.

    Raises DataError for one of far too many pixels, and what Pillow raises for what is no picture.
    """
    try:
        return Image.open(BytesIO(content), formats=decodable_formats())
    except Image.DecompressionBombError as error:
        raise DataError(f"more than {MOST_PIXELS:,} pixels are too many") from error


def read_picture(path: Path, form: Form) -> np.ndarray:
    """Return the picture in a file as uint8 (C, size, size).

    Raises DataError where there is none, or none that can be read.
    """
    try:
        image = open_picture(path.read_bytes())
        return np.array(fit(image, form))
    except FileNotFoundError:
        raise DataError(f"there is no picture '{path}': name a file that Pillow reads.") from None
    except (DataError, OSError, ValueError, SyntaxError) as error:
        raise DataError(f"'{path}' is no picture that can be read ({error}).") from error


def fit(image: Image.Image, form: Form) -> np.ndarray:
    """Bring a picture, which is used up, to uint8 (C, size, size).

    Raises DataError for one that is too large or of unknown range; decoding may raise what Pillow raises.
    """
    if image.width * image.height > MOST_PIXELS:
        raise DataError(f"{image.width}×{image.height} pixels are too many")
    # JPEG can decode at 1/2, 1/4 or 1/8 for a fraction of the time; twice the size is left to the filter.
    image.draft(None, (2 * form.size, 2 * form.size))
    ImageOps.exif_transpose(image, in_place=True)
    flat = _flatten(_eight_bits(image), form.background)
    mode = "L" if form.channels == 1 else "RGB"
    pixels = np.asarray(_square(flat if flat.mode == mode else flat.convert(mode), form.size))
    return pixels[None] if form.channels == 1 else pixels.transpose(2, 0, 1)


def _eight_bits(image: Image.Image) -> Image.Image:
    """Scale greys of more than 8 bits, which Pillow's own conversion would clip at 255."""
    if image.mode.startswith("I"):
        return _scaled(np.asarray(image), 65535)
    if image.mode == "F":
        values = np.asarray(image)
        return _scaled(values, 1 if values.max() <= 1 else 255)
    return image


def _scaled(values: np.ndarray, white: int) -> Image.Image:
    """Return a grey picture of `values`, (H, W), whose range is 0 to `white`."""
    if not (values.min() >= 0 and values.max() <= white):  # in this form, NaN is refused too
        raise DataError(f"grey values run from {values.min()} to {values.max()}, expected 0 to {white}")
    return Image.fromarray(np.rint(values * (255 / white)).astype(np.uint8))


def _flatten(image: Image.Image, background: tuple[int, int, int]) -> Image.Image:
    """Lay a transparent picture over `background`; return an opaque one unchanged."""
    if not image.has_transparency_data:
        return image
    image = image.convert("RGBA")
    canvas = Image.new("RGB", image.size, background)
    canvas.paste(image, mask=image.getchannel("A"))
    return canvas


def _square(image: Image.Image, size: int) -> Image.Image:
    """Crop the centre square and resize it to `size`, unless it is so already."""
    if image.size == (size, size):
        return image
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    box = (left, top, left + side, top + side)
    return image.resize((size, size), Image.Resampling.LANCZOS, box=box, reducing_gap=3.0)

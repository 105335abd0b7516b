"""One picture to a square of bytes: what must not be lost, squashed or clipped on the way."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from sfumato.data.pictures import MOST_PIXELS, Form, colour, fit, open_picture, picture_endings
from sfumato.errors import ConfigError, DataError

WHITE, RED = (255, 255, 255), (255, 0, 0)


def reopen(image: Image.Image, kind: str = "PNG", **options: object) -> Image.Image:
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return open_picture(buffer.getvalue())


def test_a_picture_in_form_already_keeps_every_byte(draw):
    pixels = draw(0, 16, 16, 3)
    assert np.array_equal(fit(reopen(Image.fromarray(pixels)), Form(16, 3, WHITE)), pixels.transpose(2, 0, 1))


def test_colours_of_equal_channels_become_the_same_grey(draw):
    grey = draw(0, 16, 16)
    colours = Image.fromarray(np.stack([grey] * 3, -1))
    assert np.array_equal(fit(colours, Form(16, 1, WHITE))[0], grey)
    assert np.array_equal(fit(Image.fromarray(grey), Form(16, 3, WHITE)), np.stack([grey] * 3))


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "L", "RGB"])
def test_transparent_pixels_take_the_background(mode):
    if mode in ("RGBA", "LA"):
        image = reopen(Image.new(mode, (8, 8)))
    else:
        image = reopen(Image.new(mode, (8, 8)), transparency=(0, 0, 0) if mode == "RGB" else 0)
    assert np.array_equal(fit(image, Form(8, 3, RED))[:, 3, 3], RED)


def test_half_transparent_is_half_way():
    shown = fit(reopen(Image.new("RGBA", (8, 8), (0, 0, 0, 128))), Form(8, 3, WHITE))
    assert np.all(shown == 127)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_greys_of_16_bits_are_scaled_and_not_clipped(kind):
    levels = np.arange(256, dtype=np.uint16).reshape(16, 16)
    image = reopen(Image.fromarray(levels * 257), kind)
    assert image.mode.startswith("I")
    assert np.array_equal(fit(image, Form(16, 1, WHITE))[0], levels)


@pytest.mark.parametrize("white", [1.0, 255.0])
def test_floats_are_read_in_either_usual_range(white):
    values = np.linspace(0, white, 64, dtype=np.float32).reshape(8, 8)
    shown = fit(reopen(Image.fromarray(values), "TIFF"), Form(8, 1, WHITE))[0]
    assert np.array_equal(shown, np.rint(values * (255 / white)))


@pytest.mark.parametrize("bad", [-1.0, 300.0, np.nan])
def test_floats_of_no_known_range_are_refused(bad):
    values = np.full((8, 8), bad, np.float32)
    with pytest.raises(DataError, match="grey values"):
        fit(Image.fromarray(values), Form(8, 1, WHITE))


@pytest.mark.parametrize(("mode", "kind"), [("CMYK", "JPEG"), ("1", "PNG"), ("P", "GIF"), ("YCbCr", "JPEG")])
def test_other_modes_are_read(mode, kind):
    white = reopen(Image.new("RGB", (8, 8), "white").convert(mode), kind)
    assert fit(white, Form(8, 3, RED)).min() >= 253


def test_cameras_turn_is_undone():
    pixels = np.zeros((16, 16), np.uint8)
    pixels[:8] = 255  # bright at the top
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned clockwise: bright at the right
    shown = fit(reopen(Image.fromarray(pixels), "JPEG", exif=exif), Form(16, 1, WHITE))[0]
    assert shown[:, 9:].min() > 200
    assert shown[:, :7].max() < 50


@pytest.mark.parametrize("turned", [False, True])
def test_the_centre_is_cropped_and_nothing_squashed(turned):
    pixels = np.zeros((16, 48), np.uint8)
    pixels[:, 16:32] = 200
    image = Image.fromarray(pixels.T.copy() if turned else pixels)
    assert np.all(fit(image, Form(16, 1, WHITE)) == 200)


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_shrinking_averages(kind):
    pixels = np.indices((256, 256)).sum(0) % 2 * np.uint8(255)  # the finest board has mean 127.5
    shown = fit(reopen(Image.fromarray(pixels.astype(np.uint8)), kind), Form(8, 1, WHITE))
    assert np.abs(shown.astype(float) - 127.5).max() <= 3


def test_too_many_pixels_are_refused_before_decoding():
    with pytest.warns(Image.DecompressionBombWarning):
        image = reopen(Image.new("1", (MOST_PIXELS // 8000 + 1, 8000)))
    with pytest.raises(DataError, match="too many"):
        fit(image, Form(8, 1, WHITE))


def test_postscript_is_never_run():
    program = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n"
    assert Image.open(BytesIO(program)).format == "EPS"
    with pytest.raises(OSError, match="cannot identify"):
        open_picture(program)
    assert ".eps" not in picture_endings()


def test_endings_come_from_pillow():
    assert {".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff"} <= picture_endings()
    assert ".pdf" not in picture_endings()


def test_colours():
    assert colour("#ff0000") == colour("red") == RED
    with pytest.raises(ConfigError, match="nocolour"):
        colour("nocolour")

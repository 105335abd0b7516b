"""What `sfumato upscale` and `colourise` do: read pictures as they are, and sample what they lack."""

from pathlib import Path

import numpy as np

from sfumato.app.sampling import sample_to
from sfumato.data.pictures import Form, colour, fit, open_picture
from sfumato.errors import ConfigError, DataError
from sfumato.nets.conditions import PICTURE
from sfumato.runs.cascade.cascade import Cascade
from sfumato.runs.conditions.picture import PictureReader
from sfumato.runs.run import Run

RECIPES = {"upscale": "--size 64 --recipe upsampler", "colourise": "--recipe colouriser"}
"""What trains a run for a verb."""


def complete_to(
    opened: Run | Cascade, verb: str, pictures: list[Path], prompts: list[str] | None, seed: int, path: Path
) -> None:
    """Make up what pictures lack, and write them to `path`.

    Raises ConfigError for a run that is not for `verb`, and for pictures of another size.
    """
    run = opened.last if isinstance(opened, Cascade) else opened
    reader = run.conditions.readers.get(PICTURE)
    if not isinstance(reader, PictureReader) or reader.verb != verb:
        raise ConfigError(
            f"{opened.folder} makes pictures of its own, or something else of others: for 'sfumato {verb}' "
            f"train one by 'sfumato train DATA {RECIPES[verb]}'."
        )
    background = run.config.data.background
    given = [_read(picture, reader, background) for picture in pictures]
    request = run.request(len(given), seed=seed, prompts=prompts, conditions={PICTURE: given})
    sample_to(run, request, path)


def _read(path: Path, reader: PictureReader, background: str) -> np.ndarray:
    """Return a picture of exactly the size that is wanted: uint8 (C, h, w)."""
    channels, height, width = reader.shape
    try:
        image = open_picture(path.read_bytes())
        if image.size != (width, height):
            raise ConfigError(
                f"'{path}' has {image.size[0]}×{image.size[1]} pixels, and this run makes pictures of "
                f"{width}×{height} {reader.result}: bring it to that size first."
            )
        return fit(image, Form(width, channels, colour(background)))
    except FileNotFoundError:
        raise DataError(f"there is no picture '{path}': name a file that Pillow reads.") from None
    except (DataError, OSError, ValueError, SyntaxError) as error:
        raise DataError(f"'{path}' is no picture that can be read ({error}).") from error

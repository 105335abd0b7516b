"""What `sfumato upscale` does: read pictures as they are, and sample what they are when larger."""

from pathlib import Path

import numpy as np

from sfumato.app.sampling import sample_to, tell_lost
from sfumato.data.pictures import Form, colour, fit, open_picture
from sfumato.errors import ConfigError, DataError
from sfumato.nets.conditions import PICTURE
from sfumato.runs.cascade.cascade import Cascade
from sfumato.runs.run import Run


def upscale_to(
    opened: Run | Cascade, pictures: list[Path], prompts: list[str] | None, seed: int, path: Path
) -> None:
    """Make pictures larger and write them to `path`; raise ConfigError for a run that does no such thing."""
    run = opened.last if isinstance(opened, Cascade) else opened
    piece = run.config.conditions.get(PICTURE)
    if piece is None:
        raise ConfigError(
            f"{opened.folder} makes pictures of its own, not others larger: train an upsampler by "
            "'sfumato train DATA --size 64 --recipe upsampler'."
        )
    small = [_read(picture, tuple(piece["shape"])) for picture in pictures]
    request = run.request(len(small), seed=seed, prompts=prompts, conditions={PICTURE: small})
    tell_lost(run, prompts or [])
    sample_to(run, request, path)


def _read(path: Path, shape: tuple[int, int, int]) -> np.ndarray:
    """Return a picture of exactly that size: uint8 (C, h, w)."""
    channels, height, width = shape
    try:
        image = open_picture(path.read_bytes())
    except FileNotFoundError:
        raise DataError(f"there is no picture '{path}': name a file that Pillow reads.") from None
    except (OSError, ValueError, SyntaxError) as error:
        raise DataError(f"'{path}' is no picture that can be read ({error}).") from error
    if image.size != (width, height):
        raise ConfigError(
            f"'{path}' has {image.size[0]}×{image.size[1]} pixels, and this run makes pictures of "
            f"{width}×{height} larger: bring it to that size first."
        )
    return fit(image, Form(width, channels, colour("white")))

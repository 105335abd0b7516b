"""Pictures as files, whole or not at all, in the format that the ending names."""

import io
from pathlib import Path
from typing import Any

from PIL import Image

from sfumato.errors import ConfigError, unknown
from sfumato.files import write_whole

# How each ending is encoded. WebP is kept lossless, because enlarged pixels have hard edges.
_ENCODINGS: dict[str, dict[str, Any]] = {
    ".png": {"format": "PNG", "optimize": True},
    ".jpg": {"format": "JPEG", "quality": 95, "subsampling": 0},
    ".jpeg": {"format": "JPEG", "quality": 95, "subsampling": 0},
    ".webp": {"format": "WEBP", "lossless": True},
}


def write_bytes(path: str | Path, data: bytes) -> None:
    """Write `data` to `path` atomically, replacing what was there.

    Raises ConfigError where the path cannot be written; the folder is left as it was found.
    """
    try:
        write_whole(Path(path), data)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ConfigError(
            f"Cannot write '{path}': {reason}. Name a file in a folder that exists and may be written."
        ) from error


def save_image(path: str | Path, image: Image.Image) -> None:
    """Write a picture in the format that the ending names: .png, .jpg, .jpeg or .webp.

    Raises ConfigError for another ending, and where the path cannot be written.
    """
    ending = Path(path).suffix.lower()
    if ending not in _ENCODINGS:
        raise unknown("ending of a picture's file", ending, _ENCODINGS)
    buffer = io.BytesIO()
    image.save(buffer, **_ENCODINGS[ending])
    write_bytes(path, buffer.getvalue())

"""Writers of samples: a grid, a film, an array file, or a folder of pictures.

A writer is told every finished chunk of images in order, and what it needs of the way there. Arrays and
folders are streamed, so any number of samples fits any memory; a grid or a film is itself held whole, so its
size is limited. Whatever happens, no half file is left.
"""

import tempfile
import zipfile
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Protocol

import numpy as np
from PIL import Image

from sfumato.app.pictures import can_draw, film, picture, save_film, save_image
from sfumato.errors import ConfigError
from sfumato.files import whole_file
from sfumato.runs.sampling import Request

GRID_LIMIT, FILM_LIMIT = 10_000, 400
PICTURE_ENDINGS = (".png", ".jpg", ".jpeg", ".webp")


class Writer(Protocol):
    """Takes samples in order, and for a film the moments on the way."""

    def add(self, samples: np.ndarray, moments: list[np.ndarray]) -> None:
        """Take the next chunk: (B, ...), and its moments on the way if they are wanted."""
        ...

    def close(self) -> None:
        """Finish the file."""
        ...

    def abandon(self) -> None:
        """Leave nothing behind after a failure."""
        ...


def shown_with(request: Request) -> tuple[np.ndarray | None, tuple[str, ...] | None]:
    """Return the labels by which pictures are laid out, and the words under them."""
    return None if request.labels is None else request.labels.numpy(), request.prompts or None


def require_drawable(shape: tuple[int, ...]) -> None:
    """Raise ConfigError for samples, of this shape each, that no picture shows."""
    if not can_draw(shape):
        raise ConfigError(f"samples of shape {shape} cannot be drawn: choose an .npz file.")


class GridWriter:
    """One picture of all samples."""

    def __init__(self, path: Path, request: Request, shape: tuple[int, ...]) -> None:
        require_drawable(shape)
        if request.n > GRID_LIMIT:
            raise ConfigError(
                f"a grid of {request.n:,} samples is more than the {GRID_LIMIT:,} one picture can hold: "
                "choose an .npz file or a folder."
            )
        self._path, self._request, self._parts = path, request, list[np.ndarray]()

    def add(self, samples: np.ndarray, moments: list[np.ndarray]) -> None:
        """Keep the samples."""
        self._parts.append(samples)

    def close(self) -> None:
        """Draw and save the picture."""
        labels, prompts = shown_with(self._request)
        save_image(self._path, picture(np.concatenate(self._parts), labels, captions=prompts))

    def abandon(self) -> None:
        """Forget the samples."""
        self._parts.clear()


class FilmWriter:
    """An animated picture of all samples on their way from noise."""

    def __init__(self, path: Path, request: Request, shape: tuple[int, ...]) -> None:
        require_drawable(shape)
        if request.n > FILM_LIMIT:
            raise ConfigError(
                f"a film of {request.n:,} samples is more than the {FILM_LIMIT} it can hold: lower -n."
            )
        self._path, self._request, self._chunks = path, request, list[list[np.ndarray]]()

    def add(self, samples: np.ndarray, moments: list[np.ndarray]) -> None:
        """Keep the moments."""
        self._chunks.append(moments)

    def close(self) -> None:
        """Draw and save the film."""
        frames = [np.concatenate(parts) for parts in zip(*self._chunks, strict=True)]
        labels, prompts = shown_with(self._request)
        save_film(self._path, film(frames, labels, captions=prompts))

    def abandon(self) -> None:
        """Forget the moments."""
        self._chunks.clear()


class ArrayWriter:
    """An .npz with `images` (uint8, N×H×W or N×H×W×3) and `labels`; of vectors, `x` and `y`.

    The array is written chunk by chunk into the archive, never held whole.
    """

    def __init__(self, path: Path, request: Request, shape: tuple[int, ...]) -> None:
        self._request = request
        self._whole = ExitStack()
        self._archive = zipfile.ZipFile(
            self._whole.enter_context(whole_file(path)), "w", zipfile.ZIP_DEFLATED
        )
        self._member: IO[bytes] | None = None
        self._is_pictures = True

    def add(self, samples: np.ndarray, moments: list[np.ndarray]) -> None:
        """Append the samples to the array."""
        self._is_pictures = samples.ndim == 4
        rows = plain_layout(samples)
        if self._member is None:
            name = "images" if self._is_pictures else "x"
            self._member = self._archive.open(f"{name}.npy", "w", force_zip64=True)
            shape = (self._request.n, *rows.shape[1:])
            header = {"descr": rows.dtype.str, "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(self._member, header)
        self._member.write(np.ascontiguousarray(rows).tobytes())

    def close(self) -> None:
        """Add the labels and move the file into place."""
        if self._member is not None:
            self._member.close()
        if self._request.labels is not None:
            with self._archive.open("labels.npy" if self._is_pictures else "y.npy", "w") as member:
                np.save(member, self._request.labels.numpy())
        self._archive.close()
        self._whole.close()

    def abandon(self) -> None:
        """Remove the temporary file."""
        if self._member is not None and not self._member.closed:
            self._member.close()
        self._archive.close()
        self._whole.__exit__(InterruptedError, InterruptedError("abandoned"), None)


class FolderWriter:
    """A folder of pictures, one a sample, named by its place and label."""

    def __init__(self, path: Path, request: Request, shape: tuple[int, ...]) -> None:
        if len(shape) != 3:
            raise ConfigError("vectors cannot be a folder of pictures: choose .png, .gif or .npz.")
        self._path, self._request, self._place = path, request, 0
        path.mkdir(exist_ok=True)
        if any(path.iterdir()):
            raise ConfigError(f"the folder '{path}' is not empty: choose another --out.")

    def add(self, samples: np.ndarray, moments: list[np.ndarray]) -> None:
        """Write each sample."""
        for image in plain_layout(samples):
            label = "" if self._request.labels is None else f"-{int(self._request.labels[self._place])}"
            save_image(self._path / f"{self._place:06d}{label}.png", Image.fromarray(image))
            self._place += 1

    def close(self) -> None:
        """Nothing is left to do."""

    def abandon(self) -> None:
        """Keep the pictures that are whole; each was written at once."""


WRITERS: dict[str, type[GridWriter] | type[FilmWriter] | type[ArrayWriter] | type[FolderWriter]] = {
    **dict.fromkeys(PICTURE_ENDINGS, GridWriter),
    ".gif": FilmWriter,
    ".npz": ArrayWriter,
    "": FolderWriter,
}


def open_writer(path: Path, request: Request, shape: tuple[int, ...]) -> Writer:
    """Return the writer that the ending of `path` names; shape: of one sample.

    Raises ConfigError for an unknown ending or a place that cannot be written, before anything is sampled.
    """
    if path.suffix.lower() not in WRITERS:
        known = ", ".join(ending for ending in WRITERS if ending)
        raise ConfigError(f"'{path}' has no known ending: choose one of {known}, or no ending for a folder.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
        if path.is_dir() and path.suffix:
            raise IsADirectoryError(21, "it is a folder")
        return WRITERS[path.suffix.lower()](path, request, shape)
    except OSError as error:
        reason = error.strerror or str(error)
        raise ConfigError(f"cannot write '{path}' ({reason}): choose another --out.") from error


def plain_layout(samples: np.ndarray) -> np.ndarray:
    """Return pictures (N, C, H, W) as (N, H, W) or (N, H, W, 3), and vectors as they are."""
    if samples.ndim != 4:
        return samples
    return samples[:, 0] if samples.shape[1] == 1 else samples.transpose(0, 2, 3, 1)

"""Small pictures and archives, made where a test needs them."""

import tarfile
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sfumato.randomness import generator

Draw = Callable[..., np.ndarray]
Write = Callable[[Path, int], Path]


@pytest.fixture
def draw() -> Draw:
    """(seed, shape) -> uint8 noise, the same for the same seed."""

    return _noise


def _noise(seed: int, *shape: int) -> np.ndarray:
    return torch.randint(0, 256, shape, generator=generator(seed, "test"), dtype=torch.uint8).numpy()


@pytest.fixture
def picture() -> Write:
    """(path, seed) -> a 12 × 12 colour PNG at path, folders made."""

    def write(path: Path, seed: int) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(_noise(seed, 12, 12, 3)).save(path)
        return path

    return write


@pytest.fixture
def zipped() -> Callable[[Path], Path]:
    """Zip a folder's content, without the folder itself, beside it."""

    def pack(folder: Path) -> Path:
        target = folder.with_name(folder.name + ".zip")
        with zipfile.ZipFile(target, "w") as archive:
            for path in sorted(folder.rglob("*")):
                archive.write(path, path.relative_to(folder))
        return target

    return pack


@pytest.fixture
def tarred() -> Callable[[Path, str], Path]:
    """Tar a folder, itself included, beside it; the compression is "", "gz", "xz" or "bz2"."""

    def pack(folder: Path, compression: str) -> Path:
        target = folder.with_name(f"{folder.name}.tar.{compression}".rstrip("."))
        with tarfile.open(target, f"w:{compression}") as archive:
            archive.add(folder, f"./{folder.name}")
        return target

    return pack


@pytest.fixture
def sharded() -> Callable[[Path, dict[str, bytes]], Path]:
    """Write files, by name, into a plain tar at a path, folders made: one of WebDataset's shards."""

    def pack(path: Path, content: dict[str, bytes]) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tarfile.open(path, "w") as archive:
            for name, data in content.items():
                info = tarfile.TarInfo(name)
                info.size = len(data)
                archive.addfile(info, BytesIO(data))
        return path

    return pack


@pytest.fixture
def encoded() -> Callable[[int], bytes]:
    """The bytes of a 12 × 12 colour PNG, by seed: the same picture as `picture` writes."""

    def encode(seed: int) -> bytes:
        buffer = BytesIO()
        Image.fromarray(_noise(seed, 12, 12, 3)).save(buffer, "PNG")
        return buffer.getvalue()

    return encode

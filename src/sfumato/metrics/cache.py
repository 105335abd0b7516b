"""Where trained judges are kept, and how a file there is trusted.

A judge belongs to the content of the data, to the seed and to the recipe that made it; the three together are
its key. The key names the file and stands in its metadata too, so a file that was renamed, cut short or
written by something else is never taken for a judge. Only safetensors is read: there is no code in it.
"""

import hashlib
import os
import warnings
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from sfumato.files import write_whole

# Raise this whenever the network or its training changes, so that judges of the old kind are left alone.
RECIPE = 1


def default_cache_dir() -> Path:
    """Return the folder for judges: $SFUMATO_CACHE, else $XDG_CACHE_HOME/sfumato, else ~/.cache/sfumato."""
    if own := os.environ.get("SFUMATO_CACHE"):
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sfumato"


def cache_key(content_hash: str, seed: int) -> str:
    """Return the key of the judge that `seed` trains on data of `content_hash`: 64 hexadecimal digits."""
    return hashlib.sha256(f"{RECIPE}/{seed}/{content_hash}".encode()).hexdigest()


def cache_path(folder: Path, key: str) -> Path:
    """Return the file in which the judge of `key` is kept."""
    return folder / f"classifier-{key[:16]}.safetensors"


def load_cached(folder: Path, key: str) -> tuple[dict[str, Tensor], dict[str, str]] | None:
    """Return the weights and metadata kept under `key`; None if there is no sound file of that key."""
    try:
        with safe_open(cache_path(folder, key), framework="pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("key") != key:
                return None
            return {name: file.get_tensor(name) for name in file.keys()}, metadata  # noqa: SIM118 (not a dict)
    except (OSError, SafetensorError):
        return None


def save_cached(folder: Path, key: str, weights: dict[str, Tensor], metadata: dict[str, str]) -> None:
    """Keep weights and metadata under `key`, all of them or nothing.

    A folder that cannot be written costs a warning, not the score: the judge is trained again next time.
    """
    content = save({name: weight.contiguous() for name, weight in weights.items()}, {**metadata, "key": key})
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(cache_path(folder, key), content)
    except OSError as error:
        warnings.warn(f"The judge could not be kept in {folder}: {error}.", stacklevel=2)

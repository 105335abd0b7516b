""".npy and .npz files, never unpickled."""

import zipfile
import zlib
from pathlib import Path

import numpy as np

from sfumato.data.arrays import found_in_arrays
from sfumato.data.found import Found
from sfumato.errors import DataError

ENDINGS = (".npy", ".npz")

# Names understood: examples, labels, test examples, test labels; all but the first may be missing.
# The first row is what `sfumato sample` writes.
LAYOUTS = (
    ("images", "labels", "test_images", "test_labels"),
    ("train_images", "train_labels", "test_images", "test_labels"),
    ("x_train", "y_train", "x_test", "y_test"),
    ("x", "y", "x_test", "y_test"),
)


def read_array_file(path: Path) -> Found:
    """Read one array of examples, or several by the names of `LAYOUTS`.

    A single array is mapped into memory, so that converting it needs no second copy.
    Raises DataError for a broken file, for other names (listing those found and those understood), and for
    arrays that are not examples.
    """
    try:
        content = np.load(path, mmap_mode="r", allow_pickle=False)
        if isinstance(content, np.ndarray):
            return found_in_arrays(content)
        with content:
            return _read_named(content)
    except DataError as error:
        raise DataError(f"'{path}': {error}") from error
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(_broken(path, str(error))) from error


def _read_named(content: np.lib.npyio.NpzFile) -> Found:
    names = next((names for names in LAYOUTS if names[0] in content.files), None)
    if names is None:
        understood = "; ".join(", ".join(names) for names in LAYOUTS)
        raise DataError(f"it holds {', '.join(content.files) or 'nothing'}. Names understood: {understood}.")
    examples, labels, *test = names
    others = (content[name] if name in content.files else None for name in (labels, *test))
    return found_in_arrays(content[examples], *others)


def _broken(path: Path, error: str) -> str:
    # NumPy's own words on objects recommend loading them unsafely.
    if "pickle" in error or "object" in error:
        return (
            f"'{path}' holds no plain array, but garbage or Python objects, which can run code when loaded: "
            "save numbers with numpy.save or numpy.savez."
        )
    return f"'{path}' cannot be read as arrays ({error}): write it again."

"""Where examples come from: built-in sets, arrays, folders and archives of pictures, official binary layouts.

The names load on first use, so that `import sfumato.data` alone costs nothing.
"""

from typing import TYPE_CHECKING

from sfumato.lazy import lazily

if TYPE_CHECKING:
    from sfumato.data.builtin import BUILT_IN
    from sfumato.data.dataset import Dataset, Skipped, Split
    from sfumato.data.load import load_data

_HOMES = {
    "BUILT_IN": "sfumato.data.builtin",
    "Dataset": "sfumato.data.dataset",
    "Skipped": "sfumato.data.dataset",
    "Split": "sfumato.data.dataset",
    "load_data": "sfumato.data.load",
}

__all__ = ["BUILT_IN", "Dataset", "Skipped", "Split", "load_data"]

__getattr__ = lazily(__name__, _HOMES)

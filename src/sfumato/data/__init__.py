"""Where examples come from: built-in sets, arrays, folders and archives of pictures, official binary layouts.

The names load on first use, so that `import sfumato.data` alone costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sfumato.data.builtin import BUILT_IN
    from sfumato.data.dataset import Dataset, Skipped, Split
    from sfumato.data.load import load_data

_HOMES = {
    "BUILT_IN": "builtin",
    "Dataset": "dataset",
    "Skipped": "dataset",
    "Split": "dataset",
    "load_data": "load",
}

__all__ = ["BUILT_IN", "Dataset", "Skipped", "Split", "load_data"]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)

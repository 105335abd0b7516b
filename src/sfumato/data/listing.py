"""The pictures among a set of files: in which split each lies, and in which folder below.

Folders that wrap everything are stepped into, and archives among the folders (shards) count as no folder.
"""

import posixpath
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from sfumato.data.dataset import Skipped
from sfumato.data.files import Files
from sfumato.data.nested import ARCHIVES
from sfumato.data.pictures import picture_endings
from sfumato.data.splits import sort_out, split_of


@dataclass(frozen=True, eq=False)
class Listing:
    """N chosen pictures, and what was left out.

    names: from the root; inner: each name below its split; held_out: bool (N,), or None without splits.
    """

    names: tuple[str, ...]
    inner: tuple[str, ...]
    held_out: np.ndarray | None = None
    skipped: tuple[Skipped, ...] = ()

    def only(self, keep: np.ndarray, skipped: tuple[Skipped, ...]) -> "Listing":
        """Return the listing of those with `keep`, bool (N,); `skipped` says why the others are left out."""
        places = np.flatnonzero(keep).tolist()
        return replace(
            self,
            names=tuple(self.names[place] for place in places),
            inner=tuple(self.inner[place] for place in places),
            held_out=None if self.held_out is None else self.held_out[keep],
            skipped=self.skipped + skipped,
        )


def picture_names(files: Files) -> list[str]:
    """Return the names of `files` that end as pictures do."""
    endings = picture_endings()
    return [name for name in files.names if posixpath.splitext(name)[1].lower() in endings]


def common_folder(names: Sequence[str]) -> str:
    """Return the folders, with their last slash, that all `names` share."""
    folders = posixpath.commonpath([posixpath.dirname(name) for name in names])
    return folders + "/" if folders else ""


def list_pictures(names: Sequence[str], start: int) -> Listing:
    """Assign pictures to splits by their first folder, or archive, after `start` characters."""
    rests = [name[start:] for name in names]
    used, held_out, skipped = sort_out(
        [split_of(rest.split("/")[0]) if "/" in rest else "" for rest in rests]
    )
    chosen = [rests[place] for place in used]
    inner = chosen if held_out is None else [rest.split("/", 1)[1] for rest in chosen]
    kept = tuple(names[place] for place in used)
    return Listing(kept, tuple(_without_archives(name) for name in inner), held_out, skipped)


def _without_archives(name: str) -> str:
    *folders, base = name.split("/")
    return "/".join([*(part for part in folders if not part.lower().endswith(ARCHIVES)), base])

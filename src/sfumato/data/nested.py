"""Archives in a folder, each seen as a folder of its name: WebDataset's shards, or a download as it came.

`train-0003.tar` with a member `000017.jpg` shows as `train-0003.tar/000017.jpg`.
https://github.com/webdataset/webdataset#the-webdataset-format
"""

import re

from sfumato.data.archives import open_files
from sfumato.data.files import Files, FolderFiles, base_name

ARCHIVES = (".tar", ".zip")
# Of every set of shards the first ones have a leading zero, which keeps "photos-2024.tar" out.
_SHARD = re.compile(r"(.*[^0-9])?0[0-9]{3,}\.tar")


def first_shard(files: Files) -> str | None:
    """Return the first of the tars among `files` that are numbered as shards are, or None."""
    return next((name for name in files.names if _SHARD.fullmatch(base_name(name).lower())), None)


class NestedFiles:
    """The files of a folder, with the members of its zips and tars in place of these.

    memory_limit: bytes that the members of each compressed tar may take.
    Raises DataError for an archive that is broken.
    """

    def __init__(self, outer: FolderFiles, memory_limit: int) -> None:
        self._places: dict[str, tuple[Files, str]] = {}
        for name in outer.names:
            if not name.lower().endswith(ARCHIVES):
                self._places[name] = outer, name
                continue
            archive = open_files(outer.root / name, memory_limit)
            self._places |= {f"{name}/{member}": (archive, member) for member in archive.names}
        self.names = tuple(sorted(self._places))

    def read(self, name: str) -> bytes:
        """Return the content of one file or member."""
        files, inner = self._places[name]
        return files.read(inner)

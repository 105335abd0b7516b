"""Data sets of the Hugging Face hub by name: hf:owner/name, hf:owner/name/folder, either with @revision.

What is fetched is the repository's files, into the hub's own cache, and they are read like any folder: as
parquet shards, folders of pictures, tar shards. Code in a repository is never run; of a data set that is only
code, the hub keeps a converted copy as the revision `refs/convert/parquet`.
https://huggingface.co/docs/hub/datasets-overview https://huggingface.co/docs/dataset-viewer/parquet
"""

import re
from dataclasses import dataclass
from pathlib import Path

from sfumato.errors import DataError

_NAME = re.compile(r"hf:(?P<repo>[\w.-]+/[\w.-]+)(/(?P<folder>[^@]*[^@/]))?/?(@(?P<revision>\S+))?")


@dataclass(frozen=True)
class HubName:
    """A data set's repository, "owner/name"; folder: the part of it to take, "" for all; revision or None."""

    repo: str
    folder: str = ""
    revision: str | None = None

    @classmethod
    def parse(cls, source: object) -> "HubName | None":
        """Return what `source` names, None where it is not of the hub; raises DataError for half a name."""
        if not (isinstance(source, str) and source.startswith("hf:")):
            return None
        match = _NAME.fullmatch(source)
        if match is None:
            raise DataError(f"'{source}' is no name of the hub: write hf:owner/name, as in its address.")
        return cls(match["repo"], match["folder"] or "", match["revision"])

    @property
    def title(self) -> str:
        """The last part of the name."""
        return self.repo.split("/")[1]

    def fetch(self) -> Path:
        """Return the local folder of the files, fetched where the cache has them not.

        Raises DataError where the hub has no such data set, or cannot be reached.
        """
        try:
            from huggingface_hub import snapshot_download
        except ModuleNotFoundError:
            raise DataError(f"'hf:{self.repo}' needs huggingface_hub: pip install 'sfumato[hub]'.") from None
        wanted = [f"{self.folder}/*"] if self.folder else None
        try:
            root = snapshot_download(
                self.repo, repo_type="dataset", revision=self.revision, allow_patterns=wanted
            )
        except (OSError, ValueError) as error:  # the hub's own errors are of these kinds
            why = " ".join(str(error).split())
            raise DataError(
                f"'hf:{self.repo}' cannot be fetched ({why[:200]}): look for it at "
                f"https://huggingface.co/datasets/{self.repo}, or give a folder that holds it."
            ) from error
        return Path(root) / self.folder

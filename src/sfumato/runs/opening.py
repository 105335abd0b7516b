"""Open whatever a folder holds: a run, or a cascade of runs."""

from pathlib import Path

import torch

from sfumato.errors import RunError
from sfumato.runs.cascade.cascade import Cascade
from sfumato.runs.cascade.config import is_cascade, read_cascade
from sfumato.runs.run import CONFIG, Run


def open_folder(folder: str | Path, device: torch.device | str | None = None) -> Run | Cascade:
    """Open a folder; raise RunError if it holds neither or is damaged.

    device: where to sample, by default the accelerator if there is one.
    """
    return open_cascade(folder, device) if is_cascade(Path(folder)) else Run.open(folder, device)


def open_cascade(folder: str | Path, device: torch.device | str | None = None) -> Cascade:
    """Open a folder of several models; raise RunError if it holds none, or not all stages that sample yet.

    device: where to sample, by default the accelerator if there is one.
    """
    for stage in read_cascade(Path(folder)).stages:
        if stage.samples and not (Path(folder) / stage.name / CONFIG).is_file():
            raise RunError(
                f"{folder} is not trained to the end, and has no '{stage.name}' yet: go on with it by "
                f"'sfumato train --resume --out {folder}'."
            )
    return Cascade.open(folder, device)

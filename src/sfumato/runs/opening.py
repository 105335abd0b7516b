"""Open whatever a folder holds: a run, or a cascade of runs."""

from pathlib import Path

import torch

from sfumato.runs.cascade.cascade import Cascade
from sfumato.runs.cascade.config import is_cascade
from sfumato.runs.run import Run


def open_folder(folder: str | Path, device: torch.device | str | None = None) -> Run | Cascade:
    """Open a folder; raise RunError if it holds neither or is damaged.

    device: where to sample, by default the accelerator if there is one.
    """
    return Cascade.open(Path(folder), device) if is_cascade(Path(folder)) else Run.open(folder, device)

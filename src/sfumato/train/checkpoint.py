"""A checkpoint is one file, whole or not there: weights, averages, optimiser state and counters.

It is a `safetensors` file, so loading it runs no code, and its header holds the counters as JSON.
"""

import errno
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from sfumato.errors import RunError
from sfumato.files import whole_file

FORMAT = "sfumato-checkpoint-2"


@dataclass(frozen=True)
class Checkpoint:
    """Named tensors, and a JSON-ready mapping of everything else."""

    tensors: Mapping[str, Tensor]
    state: Mapping[str, Any]


def save(path: Path, checkpoint: Checkpoint) -> None:
    """Write `checkpoint` to `path`, replacing an older one only when the new one is on the disk.

    Raises OSError where it cannot be written.
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in checkpoint.tensors.items()}
    with whole_file(path) as temporary:
        try:
            save_file(tensors, temporary, {"format": FORMAT, "state": json.dumps(checkpoint.state)})
        except SafetensorError as error:  # a full disk, for one, which is an OSError elsewhere
            raise OSError(errno.EIO, str(error), str(path)) from error


def load(path: Path) -> Checkpoint:
    """Read a checkpoint.

    Raises RunError when the file is missing, truncated, or not one of sfumato's.
    """
    if not path.is_file():
        raise RunError(f"{path} is missing: this run has not saved anything yet; train it again.")
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            header = file.metadata() or {}
            if header.get("format") != FORMAT:
                raise RunError(
                    f"{path} was not written by this version of sfumato: put the run's own checkpoint back."
                )
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except (SafetensorError, OSError) as error:
        raise RunError(
            f"{path} is truncated or not a safetensors file ({error}): put a whole copy back."
        ) from error
    return Checkpoint(tensors, json.loads(header["state"]))


def part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Return the tensors whose names start with `prefix`, without it."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def load_into(module: torch.nn.Module, tensors: Mapping[str, Tensor], what: str) -> None:
    """Load `tensors` into `module`; every name and shape must fit.

    Raises RunError that names the first misfit.
    """
    own = module.state_dict()
    for name in sorted(own.keys() | tensors.keys()):
        if name not in tensors or name not in own or own[name].shape != tensors[name].shape:
            raise RunError(
                f"the {what} in this run's checkpoint do not fit its configuration (at '{name}'): "
                "the two files come from different runs, or versions of sfumato."
            )
    module.load_state_dict(dict(tensors))

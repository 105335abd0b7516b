"""What `sfumato encode` and `sfumato decode` do: from data to a file of codes, and from there to pictures."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from sfumato.app.codes import Codes, fingerprint
from sfumato.app.console import bar, output
from sfumato.app.outputs import open_writer
from sfumato.app.scoring import one_process
from sfumato.app.training import read_for
from sfumato.condition import Condition
from sfumato.data import Dataset
from sfumato.errors import ConfigError
from sfumato.families.agreements import Autoencoder, Encoder
from sfumato.runs.run import Run
from sfumato.runs.sampling import Request

CHUNK = 512
"""Examples encoded between two looks at the clock."""


def encode_to(run: Run, source: str | None, path: Path) -> None:
    """Encode all examples of `source`, by default of the run's own data, into the file `path`."""
    one_process("encode")
    require_codes(run)
    if path.suffix.lower() != ".npz":
        raise ConfigError(f"codes are kept in an .npz file: end '{path}' in .npz.")
    dataset = read_for(run, source)
    values = np.concatenate(list(_encoded(run, dataset)))
    labels = [split.labels for split in (dataset.train, dataset.held_out)]
    held_out = np.arange(len(values)) >= len(dataset.train)
    known = (
        None if labels[0] is None else np.concatenate([part.numpy() for part in labels if part is not None])
    )
    Codes(values, known, held_out, str(run.folder), fingerprint(run)).save(path)
    output.print(f"{path}: {len(values):,} codes of shape {values.shape[1:]}, {held_out.sum():,} held out")


def decode_to(run: Run, source: Path, path: Path) -> None:
    """Decode the codes in the file `source` into `path`: a picture, an .npz or a folder."""
    one_process("decode")
    require_way_back(run)
    codes = Codes.load(source)
    codes.check(run)
    if path.suffix.lower() == ".gif":
        raise ConfigError("decoding is one step and no film: choose .png, .npz or a folder.")
    labels = torch.from_numpy(codes.labels) if codes.labels is not None else None
    if labels is not None and run.classes and int(labels.max()) >= len(run.classes):
        raise ConfigError(
            f"'{source}' has labels up to {int(labels.max())}, and {run.folder} knows {len(run.classes)} "
            f"classes, numbered from 0: decode it by the run that it was encoded by."
        )
    # Writers of samples ask how many there are and of which class, and nothing of how they came about.
    told = None if labels is None else Condition.of(label=labels)
    writer = open_writer(path, Request(len(codes.values), 0, told, None), run.config.data.shape)
    try:
        writer.add(run.decode(codes.values, labels if run.classes else None), [])
        writer.close()
    except BaseException:
        writer.abandon()
        raise
    output.print(f"{path}: {len(codes.values):,} decoded")


def require_codes(run: Run) -> None:
    """Refuse a run whose family knows no codes."""
    if not isinstance(run.family, Encoder):
        raise ConfigError(
            f"{run.folder} is {run.model.called}, which has no codes: encode by an autoencoder, which "
            f"'sfumato train {run.config.data.source} --recipe autoencoder' makes."
        )


def require_way_back(run: Run) -> None:
    """Refuse a run whose family cannot make examples of codes."""
    require_codes(run)
    if not isinstance(run.family, Autoencoder):
        raise ConfigError(
            f"{run.folder} is {run.model.called}, which has codes but no way back: use an autoencoder's run."
        )


def _encoded(run: Run, dataset: Dataset) -> Iterator[np.ndarray]:
    """Yield the codes of all examples in order, those to train on first."""
    with bar() as progress:
        task = progress.add_task("encoding", total=len(dataset.train) + len(dataset.held_out))
        for split in (dataset.train, dataset.held_out):
            for indices in torch.arange(len(split)).split(CHUNK) if len(split) else ():
                examples, labels = split.batch(indices)
                yield run.encode(examples, labels if run.classes else None)
                progress.advance(task, len(examples))

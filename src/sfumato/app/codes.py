"""Files of codes: .npz with the codes, what belongs to each, and whose codes they are.

A code means something to the weights that made it alone. So the file keeps the run's folder and a fingerprint
of its weights, and codes of another run, or of the same one trained further, are not decoded. Codes that
someone made without sfumato carry no fingerprint; those are taken at their word.
"""

import hashlib
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sfumato.errors import ConfigError, DataError
from sfumato.files import whole_file
from sfumato.runs.run import CHECKPOINT, Run


@dataclass(frozen=True)
class Codes:
    """Codes of N examples.

    values: float32 (N, *latent); labels: int64 (N,) or None; held_out: bool (N,), which of them training
    never saw, or None; run: the folder of the run that made them, fingerprint: of its weights, "" where
    unknown.
    """

    values: np.ndarray
    labels: np.ndarray | None = None
    held_out: np.ndarray | None = None
    run: str = ""
    fingerprint: str = ""

    def save(self, path: Path) -> None:
        """Write the file, whole or not at all."""
        said = {"run": np.array(self.run), "fingerprint": np.array(self.fingerprint)}
        beside = {"labels": self.labels, "held_out": self.held_out}
        known = {name: array for name, array in beside.items() if array is not None}
        try:
            with whole_file(path) as temporary, temporary.open("wb") as file:
                np.savez(file, allow_pickle=False, codes=self.values, **known, **said)
        except OSError as error:
            raise ConfigError(f"cannot write '{path}' ({error.strerror}): choose another --out.") from error

    @classmethod
    def load(cls, path: Path) -> "Codes":
        """Read what `save` wrote, an .npz with `codes`, or an .npy; raise DataError for anything else."""
        given = _arrays(path)
        if "codes" not in given:
            held = ", ".join(given) or "nothing"
            raise DataError(f"'{path}' holds {held}, and no 'codes': 'sfumato encode' writes such files.")
        return cls(
            _numbers(given["codes"], path),
            _labels(given, path),
            given.get("held_out"),
            str(given.get("run", "")),
            str(given.get("fingerprint", "")),
        )

    def check(self, run: Run) -> None:
        """Raise ConfigError unless these are codes of `run` as it is now, as far as that is known."""
        if not self.fingerprint or self.fingerprint == fingerprint(run):
            return
        if self.fingerprint.partition("/")[0] == fingerprint(run).partition("/")[0]:
            raise ConfigError(f"these codes are of another average of {run.folder}'s weights: encode again.")
        if Path(self.run).resolve() == run.folder.resolve():
            raise ConfigError(
                f"these codes are from before {run.folder} was trained further: encode the data again."
            )
        raise ConfigError(
            f"these are codes of {self.run}, which mean nothing to {run.folder}: decode them by {self.run}, "
            f"or encode the data by {run.folder}."
        )


def fingerprint(run: Run) -> str:
    """Return what stands for a run's weights: the SHA-256 of its checkpoint and the average in use."""
    with (run.folder / CHECKPOINT).open("rb") as file:
        return f"{hashlib.file_digest(file, 'sha256').hexdigest()}/{run.average}"


def _arrays(path: Path) -> dict[str, np.ndarray]:
    """Return the arrays in a file by name; the one of an .npy is called "codes"."""
    try:
        content = np.load(path, allow_pickle=False)
        if isinstance(content, np.ndarray):
            return {"codes": content}
        with content:
            return {name: content[name] for name in content.files}
    except FileNotFoundError:
        raise DataError(f"there is no file '{path}': 'sfumato encode RUN --out {path}' makes one.") from None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"'{path}' cannot be read as codes: write it again by 'sfumato encode'.") from error


def _numbers(array: np.ndarray, path: Path) -> np.ndarray:
    if array.dtype.kind not in "fiu" or array.ndim < 2 or len(array) == 0 or not np.isfinite(array).all():
        raise DataError(f"'{path}' needs codes as finite numbers (N, ...), not {array.dtype} {array.shape}.")
    return array.astype(np.float32)


def _labels(given: dict[str, np.ndarray], path: Path) -> np.ndarray | None:
    labels = given.get("labels")
    if labels is None:
        return None
    if labels.dtype.kind not in "iu" or labels.shape != given["codes"].shape[:1] or (labels < 0).any():
        raise DataError(
            f"'{path}' needs labels as a class number for each of its {len(given['codes']):,} codes, "
            f"not {labels.dtype} {labels.shape}."
        )
    return labels.astype(np.int64)

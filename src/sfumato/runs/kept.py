"""Another run, kept inside a run's folder: averaged weights, configuration and words, in one file.

A model that lives in the codes of an autoencoder, or is told those of an encoder, needs it whenever it is
sampled or trained further. So it keeps it,

RUN/autoencoder.safetensors   in whose codes it lives (`runs.latent`)
RUN/encoder.safetensors       whose codes it is told (`runs.conditions.embedding`)

and the folder is all it takes; the other run may go.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from sfumato.data.dataset import Dataset
from sfumato.data.scaling import Scaling
from sfumato.errors import ConfigError, RunError
from sfumato.families.agreements import Encoder, TextEncoder
from sfumato.runs.agreements import Model, device_of
from sfumato.runs.build import build_scaling
from sfumato.runs.conditions.text import open_tokenizer
from sfumato.runs.config import parse_config
from sfumato.runs.model import build_model, codes, decoded, from_tokens, text_codes, tokens
from sfumato.text.tokenizer import Tokenizer
from sfumato.train.checkpoint import Checkpoint, load, load_into, part, save

if TYPE_CHECKING:
    import torch

    from sfumato.runs.run import Run


@dataclass(frozen=True)
class Kept:
    """A run that was kept: how it meets examples, its model, and by what it reads sentences, if it does."""

    pixels: Scaling
    model: Model
    tokenizer: Tokenizer | None = None

    def encode(self, x: Tensor) -> Tensor:
        """Return the codes of examples, as the data is: float32 (B, *latent), on the CPU."""
        return codes(self.model, self.pixels.to_model(x.to(device_of(self.model))), None).cpu()

    def encode_text(self, said: Sequence[str]) -> Tensor:
        """Return the codes of sentences: float32 (B, D), on the CPU; raise ConfigError without words."""
        if self.tokenizer is None:
            raise ConfigError(f"this is {self.model.called}, which has no codes of sentences.")
        return text_codes(self.model, self.tokenizer.encode(said).to(device_of(self.model))).cpu()

    def decode(self, z: Tensor) -> Tensor:
        """Return the examples that codes (B, *latent) stand for, as the data is, on the CPU."""
        return self.pixels.to_data(decoded(self.model, z.to(device_of(self.model)), None).cpu())

    def write(self, x: Tensor) -> Tensor:
        """Return the tokens of examples, as the data is: int64 (B, L), on the CPU."""
        return tokens(self.model, self.pixels.to_model(x.to(device_of(self.model)))).cpu()

    def read(self, written: Tensor) -> Tensor:
        """Return the examples that tokens (B, L) stand for, as the data is, on the CPU."""
        return self.pixels.to_data(from_tokens(self.model, written.to(device_of(self.model))).cpu())


def check_encodes(run: "Run", dataset: Dataset) -> None:
    """Raise ConfigError unless `run` can be kept to encode the examples of `dataset`."""
    if not isinstance(run.family, Encoder):
        raise ConfigError(
            f"{run.folder} is {run.model.called}, which has no codes to train in or to be told: choose a run "
            "that encodes, such as one of --recipe autoencoder, vae or clip."
        )
    if run.config.latent is not None:
        raise ConfigError(
            f"{run.folder} lives in the codes of {run.config.latent.run}, and one run is kept inside another "
            "only once: choose a run that encodes examples themselves."
        )
    if dataset.shape != run.config.data.shape:
        raise ConfigError(
            f"{run.folder} encodes examples of {run.config.data.shape}, and this data has "
            f"{dataset.shape}: choose an encoder of this data, or --size and --channels to suit it."
        )


def keep(run: "Run", path: Path) -> None:
    """Write the averaged weights of `run`, its configuration and its words to `path`."""
    weights = {
        f"{player.name}.{name}": value
        for player in run.family.players()
        if player.sampled
        for name, value in player.module.state_dict().items()
    }
    state: dict[str, object] = {"config": run.config.model_dump(mode="json")}
    if isinstance(run.family, TextEncoder):
        state["tokenizer"] = open_tokenizer(run.folder).to_json()
    path.parent.mkdir(parents=True, exist_ok=True)
    save(path, Checkpoint(weights, state))


def open_kept(path: Path, device: "torch.device") -> Kept:
    """Open what `keep` wrote; raise RunError where it is missing or damaged."""
    if not path.is_file():
        raise RunError(f"{path} is missing, without which codes mean nothing to this model: restore it.")
    stored = load(path)
    config = parse_config(stored.state["config"])
    model = build_model(config)
    for player in model.family.players():
        if player.sampled:
            load_into(player.module, part(stored.tensors, f"{player.name}."), f"weights in {path.name}")
            player.module.requires_grad_(False).eval().to(device)
    words = stored.state.get("tokenizer")
    return Kept(build_scaling(config), model, None if words is None else Tokenizer.from_json(words))


def pass_on(name: str, folder: Path, other: Path) -> None:
    """Copy the run that the run in `folder` keeps under `name` to another one, if it keeps any."""
    if (folder / name).is_file():
        shutil.copyfile(folder / name, other / name)

"""Models that live in the codes of an autoencoder (Rombach et al. 2022, "latent diffusion").

A latent model is any model whose examples are codes: what stands between it and the data is not an affine map
of pixels but an encoder and a decoder,

    to the model:  z = (encode(x) − mean)/std        to the data:  x = decode(mean + std·z)

with the mean and deviation of each channel of the training examples' codes. Everything else, recipes,
samplers, guidance, films, stays as it is. The autoencoder's averaged weights and its configuration are kept,

RUN/autoencoder.safetensors

so that the folder is all it takes to sample pictures.
"""

import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from sfumato.data.dataset import Dataset, Split
from sfumato.data.scaling import Scaling
from sfumato.data.store import MemoryStore
from sfumato.errors import ConfigError, RunError
from sfumato.families.agreements import Autoencoder
from sfumato.randomness import generator
from sfumato.runs.agreements import Model, device_of
from sfumato.runs.build import build_scaling
from sfumato.runs.config import LatentConfig, RunConfig, parse_config
from sfumato.runs.model import build_model, codes, decoded
from sfumato.train.checkpoint import Checkpoint, load, load_into, part, save

if TYPE_CHECKING:
    from sfumato.runs.run import Run

AUTOENCODER = "autoencoder.safetensors"
MEASURED_ON = 4096
"""Examples on which the spread of codes is measured."""
CHUNK = 256


@dataclass(frozen=True)
class Codes:
    """The map between examples and standardised codes.

    pixels: how the autoencoder meets examples; model: the autoencoder; mean and std: of each channel.
    """

    pixels: Scaling
    model: Model
    mean: tuple[float, ...]
    std: tuple[float, ...]
    bounds: ClassVar[None] = None

    def to_model(self, x: Tensor) -> Tensor:
        """Return the standardised codes of examples: float32 (B, *latent)."""
        z = codes(self.model, self.pixels.to_model(x.to(device_of(self.model))), None)
        return (z - _channels(self.mean, z)) / _channels(self.std, z)

    def to_data(self, x: Tensor) -> Tensor:
        """Return the examples that standardised codes (B, *latent) stand for, on the CPU."""
        z = x.to(device_of(self.model)).float()
        z = z * _channels(self.std, z) + _channels(self.mean, z)
        return self.pixels.to_data(decoded(self.model, z, None).cpu())


def _channels(values: tuple[float, ...], z: Tensor) -> Tensor:
    """Return a number for each channel, to be combined with codes z: (B, C, ...)."""
    return z.new_tensor(values).view(-1, *[1] * (z.ndim - 2))


def latent_config(autoencoder: "Run", dataset: Dataset) -> LatentConfig:
    """Measure the codes of `dataset`.

    Raises ConfigError for a run that has none or cannot decode them, and for data of another shape.
    """
    if not isinstance(autoencoder.family, Autoencoder):
        raise ConfigError(
            f"{autoencoder.folder} is {autoencoder.model.called}, which has no codes to train in: choose the "
            "run of an autoencoder, such as one of --recipe autoencoder or vae."
        )
    if dataset.shape != autoencoder.config.data.shape:
        raise ConfigError(
            f"{autoencoder.folder} encodes examples of {autoencoder.config.data.shape}, and this data has "
            f"{dataset.shape}: choose an autoencoder of this data, or --size and --channels to suit it."
        )
    some = torch.randperm(len(dataset.train), generator=generator(0, "measure codes"))[:MEASURED_ON]
    z = torch.from_numpy(autoencoder.encode(dataset.train.batch(some)[0])).double()
    flat = z.transpose(0, 1).flatten(1)
    return LatentConfig(
        run=str(autoencoder.folder),
        shape=tuple(z.shape[1:]),
        mean=tuple(flat.mean(1).tolist()),
        # A channel that is never used keeps its scale.
        std=tuple(flat.std(1).clamp(min=1e-3).tolist()),
    )


def keep_autoencoder(autoencoder: "Run", folder: Path) -> None:
    """Write the averaged weights and the configuration of the autoencoder that `folder` lives in."""
    weights = {
        f"{player.name}.{name}": value
        for player in autoencoder.family.players()
        if player.sampled
        for name, value in player.module.state_dict().items()
    }
    state = {"config": autoencoder.config.model_dump(mode="json")}
    folder.mkdir(parents=True, exist_ok=True)
    save(folder / AUTOENCODER, Checkpoint(weights, state))


def pass_on(folder: Path, other: Path) -> None:
    """Copy the autoencoder of a run to another one, if it has one."""
    if (folder / AUTOENCODER).is_file():
        shutil.copyfile(folder / AUTOENCODER, other / AUTOENCODER)


def open_scaling(config: RunConfig, folder: Path, device: torch.device) -> Scaling:
    """Return the map between examples and what the model of a run sees.

    Raises RunError where the autoencoder it lives in is missing or damaged.
    """
    pixels = build_scaling(config)
    if config.latent is None:
        return pixels
    if not (folder / AUTOENCODER).is_file():
        raise RunError(
            f"{folder / AUTOENCODER} is missing, without which its codes mean nothing: restore it."
        )
    stored = load(folder / AUTOENCODER)
    model = build_model(parse_config(stored.state["config"]))
    for player in model.family.players():
        if player.sampled:
            load_into(player.module, part(stored.tensors, f"{player.name}."), "autoencoder's weights")
            player.module.requires_grad_(False).eval().to(device)
    return Codes(pixels, model, config.latent.mean, config.latent.std)


@dataclass(frozen=True)
class AsTheyAre:
    """The map of examples that are already what the model sees."""

    bounds: ClassVar[None] = None

    def to_model(self, x: Tensor) -> Tensor:
        """Return x."""
        return x.float()

    def to_data(self, x: Tensor) -> Tensor:
        """Return x."""
        return x


def as_seen(split: Split, scaling: Scaling) -> tuple[Split, Scaling]:
    """Return a split and how the model meets it: one of codes, encoded once, where the model lives in them.

    A code is small, and asked for many times; it is the same every time, because examples are not augmented.
    """
    if not isinstance(scaling, Codes):
        return split, scaling
    places = torch.arange(len(split)).split(CHUNK) if len(split) else []
    found = [scaling.to_model(split.batch(some)[0]).cpu() for some in places]
    store = MemoryStore(torch.cat(found) if found else torch.empty(0, *split.shape))
    return replace(split, store=store), AsTheyAre()

"""Models that live in the codes of an autoencoder (Rombach et al. 2022, "latent diffusion").

A latent model is any model whose examples are codes: what stands between it and the data is not an affine map
of pixels but an encoder and a decoder,

    to the model:  y = (encode(x) − mean)/std        to the data:  x = decode(mean + std·y)

with the mean and deviation of each channel of the training examples' codes, or of their principal components
alone, see `runs.principal`. Everything else, recipes, samplers, guidance, films, stays as it is. The
autoencoder is kept,

RUN/autoencoder.safetensors

so that the folder is all it takes to sample pictures. An encoder without a way back, such as CLIP, is a place
to live in as well: what such a model makes are codes themselves, mean + std·y. The *prior* of DALL·E 2 is one
(Ramesh et al. 2022, section 2.2). And where codes are those of a codebook, a model may see their numbers
instead: the *tokens* of a picture, whole numbers with no mean and no deviation.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from sfumato.data.dataset import Dataset, Split
from sfumato.data.scaling import Scaling, Standardise
from sfumato.data.store import MemoryStore
from sfumato.errors import ConfigError
from sfumato.families.agreements import Autoencoder, PictureTokenizer
from sfumato.randomness import generator
from sfumato.runs.agreements import device_of
from sfumato.runs.build import build_scaling
from sfumato.runs.config import LatentConfig, RunConfig
from sfumato.runs.kept import Kept, check_encodes, open_kept
from sfumato.runs.principal import LEAST, open_principal, principal

if TYPE_CHECKING:
    from sfumato.runs.run import Run

AUTOENCODER = "autoencoder.safetensors"
MEASURED_ON = 4096
"""Examples on which the spread of codes is measured."""
CHUNK = 256


@dataclass(frozen=True)
class Codes:
    """The map between examples and what a model sees of their codes.

    kept: the autoencoder; spread: of its codes.
    """

    kept: Kept
    spread: Scaling
    bounds: ClassVar[None] = None

    def to_model(self, x: Tensor) -> Tensor:
        """Return the standardised codes of examples: float32 (B, *seen)."""
        return self.spread.to_model(self.kept.encode(x).to(device_of(self.kept.model)))

    def to_data(self, x: Tensor) -> Tensor:
        """Return the examples that standardised codes (B, *seen) stand for, on the CPU."""
        return self.kept.decode(self.spread.to_data(x))


class CodesAlone(Codes):
    """The map from examples to standardised codes of an encoder without a way back."""

    def to_data(self, x: Tensor) -> Tensor:
        """Return the codes themselves: float32 (B, *latent), on the CPU."""
        return self.spread.to_data(x).cpu()


@dataclass(frozen=True)
class Tokens:
    """The map between examples and the tokens that they are written in; kept: the tokenizer."""

    kept: Kept
    bounds: ClassVar[None] = None

    def to_model(self, x: Tensor) -> Tensor:
        """Return the tokens of examples: int64 (B, L)."""
        return self.kept.write(x).to(device_of(self.kept.model))

    def to_data(self, x: Tensor) -> Tensor:
        """Return the examples that tokens (B, L) stand for, as far as they are known, on the CPU."""
        return self.kept.read(x)


def latent_config(encoder: "Run", dataset: Dataset) -> LatentConfig:
    """Measure the codes of `dataset`.

    Raises ConfigError for a run that has none, and for data of another shape.
    """
    check_encodes(encoder, dataset)
    z = _some_codes(encoder, dataset)
    flat = z.transpose(0, 1).flatten(1)
    spread = flat.mean(1).tolist(), flat.std(1).clamp(min=LEAST).tolist()
    components = len(principal(z).std) if z.ndim == 2 else 0
    return _latent(encoder.family, str(encoder.folder), tuple(z.shape[1:]), *spread, components)


def keep_axes(encoder: "Run", dataset: Dataset, count: int, folder: Path) -> None:
    """Write the first `count` principal components of the codes of `dataset`."""
    principal(_some_codes(encoder, dataset), count).save(folder)


def _some_codes(encoder: "Run", dataset: Dataset) -> Tensor:
    """Return codes of some training examples, the same every time: float64 (N, *latent).

    Raises ConfigError for an encoder that has gone astray.
    """
    some = torch.randperm(len(dataset.train), generator=generator(0, "measure codes"))[:MEASURED_ON]
    z = torch.from_numpy(encoder.encode(dataset.train.batch(some)[0])).double()
    if not bool(z.isfinite().all()):
        raise ConfigError(f"the codes of {encoder.folder} are not all finite: train it again, more slowly.")
    return z


def sketched(family: object, width: int) -> LatentConfig:
    """Return what stands for the codes of a family that is still to be trained; width: of a vector."""
    shape = tuple(family.latent_shape) if isinstance(family, Autoencoder) else (width,)
    components = shape[0] if len(shape) == 1 else 0
    return _latent(family, "", shape, [0.0] * shape[0], [1.0] * shape[0], components)


def _latent(
    family: object, run: str, shape: tuple[int, ...], mean: list[float], std: list[float], components: int
) -> LatentConfig:
    writing = family.writing if isinstance(family, PictureTokenizer) else None
    return LatentConfig(
        run=run,
        shape=shape,
        mean=tuple(mean),
        std=tuple(std),
        decodes=isinstance(family, Autoencoder),
        vocabulary=writing.vocabulary if writing else 0,
        maps=writing.maps if writing else (),
        components=components,
    )


def encoder_of(run: "Run") -> Kept:
    """Return the encoder in whose codes a run lives; raise ConfigError where it lives in none."""
    if not isinstance(run.scaling, Codes | Tokens):
        raise ConfigError(f"{run.folder} is a model of the data itself, and lives in no codes.")
    return run.scaling.kept


def open_scaling(config: RunConfig, folder: Path, device: torch.device) -> Scaling:
    """Return the map between examples and what the model of a run sees.

    Raises RunError where the autoencoder it lives in is missing or damaged.
    """
    if config.latent is None:
        return build_scaling(config)
    kept = open_kept(folder / AUTOENCODER, device)
    if config.latent.tokens:
        return Tokens(kept)
    latent = config.latent
    spread: Scaling = Standardise(latent.mean, latent.std)
    if latent.principal:
        spread = open_principal(folder, (latent.components, *latent.shape))
    return (Codes if latent.decodes else CodesAlone)(kept, spread)


@dataclass(frozen=True)
class AsTheyAre:
    """The map of examples that are already what the model sees."""

    bounds: ClassVar[None] = None

    def to_model(self, x: Tensor) -> Tensor:
        """Return x."""
        return x

    def to_data(self, x: Tensor) -> Tensor:
        """Return x."""
        return x


def as_seen(split: Split, scaling: Scaling) -> tuple[Split, Scaling]:
    """Return a split and how the model meets it: one of codes, encoded once, where the model lives in them.

    A code is small, and asked for many times; it is the same every time, because examples are not augmented.
    """
    if not isinstance(scaling, Codes | Tokens):
        return split, scaling
    places = torch.arange(len(split)).split(CHUNK) if len(split) else []
    found = [scaling.to_model(split.batch(some)[0]).cpu() for some in places]
    store = MemoryStore(torch.cat(found) if found else torch.empty(0, *split.shape))
    return replace(split, store=store), AsTheyAre()

"""Autoencoders: a code from which the example can be told again.

    minimise  E over x of  mean (x~ − x)²,     z = encode(x'),     x~ = decode(z + r·eta),  eta ~ N(0, I)

x' is x itself, x with noise added (Vincent et al. 2008, "Extracting and composing robust features with
denoising autoencoders"), or x with patches hidden, where only those count (He et al. 2022, "Masked
autoencoders are scalable vision learners"): see `autoencoders.corruption`. Codes of the networks lie in
(−1, 1); with r > 0 neighbouring codes must decode alike, so that a model of the codes may err by about r.

No distribution of codes is learned, so nothing is sampled: an autoencoder is no generator yet.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import Tensor, nn

from sfumato.condition import Condition
from sfumato.errors import ConfigError
from sfumato.families.agreements import Batch, DataFacts, Draws, Player
from sfumato.families.autoencoders.corruption import Corruption, Mask, Noise, Nothing
from sfumato.nets.codec import PictureCodec
from sfumato.nets.flat_codec import LinearCodec, VectorCodec

PLAYER = "autoencoder"
LEAST_MSE = 1 / (12 * 255**2)
"""The error of rounding to bytes, for a range of 1: a peak ratio beyond it, 59 dB, would mean nothing."""


@dataclass(frozen=True)
class Reconstructor:
    """An autoencoder that is trained by its squared error.

    module: has an `encoder` and a `decoder` and is called (x, what moves the code) -> x~; latent_shape: of a
    code; corruption: what is shown of an example in training; code_noise: r; value_range: of bounded data.
    """

    module: nn.Module
    latent_shape: tuple[int, ...]
    corruption: Corruption
    code_noise: float = 0.0
    value_range: float | None = None

    def players(self) -> tuple[Player, ...]:
        """Return the one player."""
        return (Player(PLAYER, self.module, self.loss),)

    def draw(self, rows: int, shape: tuple[int, ...], generator: torch.Generator) -> Draws:
        """Draw what spoils the examples, and what moves their codes."""
        moved = self.code_noise * torch.randn(rows, *self.latent_shape, generator=generator)
        return {**self.corruption.draw(rows, shape, generator), "moved": moved}

    def with_modules(self, modules: Mapping[str, Callable[..., Tensor]]) -> "Reconstructor":
        """Return the same autoencoder with another form of its network."""
        return replace(self, module=cast(nn.Module, modules.get(PLAYER, self.module)))

    def shown(self, x: Tensor, draws: Draws) -> Tensor:
        """Return what the encoder is shown of x: (B, ...) in training."""
        return self.corruption.spoil(x, draws)

    def restored(self, x: Tensor, draws: Draws) -> Tensor:
        """Return what is made of what is shown of x: (B, ...), with what was not hidden put back."""
        rebuilt = self.decode(self.encode(self.shown(x, draws), None), None)
        return self.corruption.completed(rebuilt.float(), x, draws)

    def loss(self, batch: Batch, draws: Draws) -> Tensor:
        """Return the mean squared error of each example, in the model's units: (B,)."""
        x = batch.examples
        rebuilt = self.module(self.shown(x, draws), draws["moved"])
        return self.corruption.error((rebuilt.float() - x).square(), draws)

    def encode(self, x: Tensor, condition: Condition | None) -> Tensor:
        """Return the codes of x: (B, ...), which is shown as it is: (B, *latent)."""
        return self.module.get_submodule("encoder")(x)

    def decode(self, z: Tensor, condition: Condition | None) -> Tensor:
        """Return what codes z: (B, *latent) stand for: (B, ...)."""
        return self.module.get_submodule("decoder")(z)

    def measures(self, batch: Batch, draws: Draws) -> Mapping[str, float]:
        """Return the error of what is restored of the examples; bounded data's for a range of 1."""
        x = batch.examples
        mse = (self.restored(x, draws) - x).square().flatten(1).mean(1)
        if self.value_range is None:
            return {"reconstruction error (MSE, standardised)": float(mse.mean())}
        mse = mse / self.value_range**2
        peak = -10 * mse.clamp(min=LEAST_MSE).log10()
        return {
            "reconstruction error (MSE, range 1)": float(mse.mean()),
            "reconstruction PSNR (dB)": float(peak.mean()),
        }


@dataclass(frozen=True)
class LinearAutoencoder:
    """Two matrices, whose optimum spans the first principal components. latent: d, numbers a code."""

    latent: int = 16

    def __post_init__(self) -> None:
        _at_least_one(latent=self.latent)

    def build(self, facts: DataFacts) -> Reconstructor:
        """Build it for any examples."""
        codec = LinearCodec(facts.shape, self.latent)
        return Reconstructor(codec, (self.latent,), Nothing(), value_range=_range(facts))


@dataclass(frozen=True)
class Autoencoder:
    """A convolutional autoencoder of pictures, or a perceptron of vectors.

    latent: d numbers, or for pictures (c, h, w); width: channels of the finest map, or of the hidden layers;
    blocks: residual blocks for each size of map; code_noise: r, the deviation of the noise on codes.
    """

    latent: int | tuple[int, ...] = 16
    width: int = 64
    blocks: int = 1
    code_noise: float = 0.0

    def __post_init__(self) -> None:
        sides = (self.latent,) if isinstance(self.latent, int) else self.latent
        _at_least_one(latent=min(sides, default=0), width=self.width, blocks=self.blocks)
        if not 0 <= self.code_noise <= 1:
            raise ConfigError(
                f"code_noise must lie between 0 and 1, the size of a code, not {self.code_noise}"
            )

    def corruption(self) -> Corruption:
        """Return what is done to the examples."""
        return Nothing()

    def build(self, facts: DataFacts) -> Reconstructor:
        """Build it; raise ConfigError for a spatial code of vectors or of a size that halving misses."""
        corruption = self.corruption()
        corruption.check(facts.shape)
        return Reconstructor(
            self._codec(facts.shape),
            (self.latent,) if isinstance(self.latent, int) else self.latent,
            corruption,
            self.code_noise,
            _range(facts),
        )

    def _codec(self, shape: tuple[int, ...]) -> nn.Module:
        if len(shape) == 3:
            return PictureCodec(shape, self.latent, self.width, self.blocks)
        if not isinstance(self.latent, int):
            raise ConfigError(f"vectors have flat codes: give latent as a number, not {list(self.latent)}")
        return VectorCodec(shape[0], self.latent, self.width)


@dataclass(frozen=True)
class DenoisingAutoencoder(Autoencoder):
    """The same, shown noisy examples. noise: its deviation, or the least and the most, in model units."""

    noise: float | tuple[float, float] = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        self.corruption()

    def corruption(self) -> Corruption:
        """Return noise."""
        return Noise(*self.noise) if isinstance(self.noise, tuple) else Noise(self.noise, self.noise)


@dataclass(frozen=True)
class MaskedAutoencoder(Autoencoder):
    """The same, shown pictures with patches hidden. share: how many of them; patch: pixels a side."""

    share: float = 0.5
    patch: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        self.corruption()

    def corruption(self) -> Corruption:
        """Return a mask."""
        return Mask(self.share, self.patch)


def _range(facts: DataFacts) -> float | None:
    return None if facts.bounds is None else facts.bounds[1] - facts.bounds[0]


def _at_least_one(**options: int) -> None:
    for name, value in options.items():
        if value < 1:
            raise ConfigError(f"an autoencoder's {name} must be at least 1, not {value}")

"""An encoder of Gaussian codes and its decoder in one network (Kingma & Welling 2014, figure 1).

    q(z | x) = N(mu(x), sigma(x)²),      z = mu + sigma·eps,      output = decoder(z)

Flat codes of any length for pictures and for vectors. The encoder's last layer starts at zero, so that every
posterior starts as the prior and the divergence at 0. The decoder's does not: with both at zero neither hears
of the other, a saddle.
"""

import math

from torch import Tensor, nn
from torch.nn import functional as F

from sfumato.condition import Condition
from sfumato.nets.blocks import zeroed
from sfumato.nets.embedding import LabelEmbedding
from sfumato.nets.folded import FoldedReader, FoldedWriter, grid_of
from sfumato.nets.mlp import ResidualLayer
from sfumato.normal import Normal
from sfumato.precision import at_least_float32

CHANNELS = 32
"""Numbers a place between a picture's map and its flat code."""
LEAST_LOG_STD, GREATEST_LOG_STD = -7.0, 3.0
"""Beyond these an exponential spoils a training for good, and no posterior gains by it."""


class PictureToCode(nn.Module):
    """The network: (x: (B, C, H, W), condition) -> (B, outputs); see `FoldedReader`."""

    def __init__(self, shape: tuple[int, ...], outputs: int, width: int, blocks: int, classes: int) -> None:
        super().__init__()
        self.reader = FoldedReader(shape, CHANNELS, width, blocks, classes)
        self.head = zeroed(nn.Linear(CHANNELS * math.prod(grid_of(shape)), outputs))

    def forward(self, x: Tensor, condition: Condition | None) -> Tensor:
        """Return (B, outputs)."""
        return self.head(F.silu(self.reader(x, condition)).flatten(1))


class CodeToPicture(nn.Module):
    """The network: (z: (B, latent), condition) -> (B, outputs·C, H, W); see `FoldedWriter`."""

    def __init__(
        self, shape: tuple[int, ...], latent: int, outputs: int, width: int, blocks: int, classes: int
    ) -> None:
        super().__init__()
        self.grid = grid_of(shape)
        self.stem = nn.Linear(latent, CHANNELS * math.prod(self.grid))
        self.writer = FoldedWriter(shape, CHANNELS, outputs, width, blocks, classes)

    def forward(self, z: Tensor, condition: Condition | None) -> Tensor:
        """Return (B, outputs·C, H, W)."""
        return self.writer(self.stem(z).unflatten(1, (CHANNELS, *self.grid)), condition)


class VectorMap(nn.Module):
    """The network of vectors, either way: (x: (B, inputs), condition) -> (B, outputs)."""

    def __init__(self, inputs: int, outputs: int, width: int, layers: int, classes: int) -> None:
        super().__init__()
        self.label = LabelEmbedding(classes, width)
        self.stem = nn.Linear(inputs, width)
        self.layers = nn.ModuleList(ResidualLayer(width) for _ in range(layers))
        self.head = nn.Linear(width, outputs)

    def forward(self, x: Tensor, condition: Condition | None) -> Tensor:
        """Return (B, outputs)."""
        h, embedding = self.stem(x), self.label(condition, len(x))
        for layer in self.layers:
            h = layer(h, embedding)
        return self.head(F.silu(h))


class GaussianCodec(nn.Module):
    """Encoder and decoder. encoder: (x, condition) -> (B, 2·latent); decoder: (z, condition) -> output."""

    def __init__(self, encoder: nn.Module, decoder: nn.Module) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder

    def posterior(self, x: Tensor, condition: Condition | None) -> Normal:
        """Return q(z | x) of x: (B, ...), with mean and std (B, latent) of at least float32."""
        return posterior_of(self.encoder(x, condition))

    def forward(self, x: Tensor, eps: Tensor, condition: Condition | None) -> tuple[Tensor, Tensor]:
        """Return the decoder's output for every draw of a code, and what the encoder said of the codes.

        eps: (B, K, latent), the K draws of each row; the output has B·K rows, K for each x in turn.
        """
        statistics = self.encoder(x, condition)
        q = posterior_of(statistics)
        z = q.mean[:, None] + q.std[:, None] * eps
        return self.decoder(z.flatten(0, 1), repeated(condition, eps.shape[1])), statistics


def posterior_of(statistics: Tensor) -> Normal:
    """Return the Gaussian whose means and log standard deviations are the two halves: (B, 2·latent)."""
    mean, log_std = at_least_float32(statistics).chunk(2, dim=1)
    return Normal(mean, log_std.clamp(LEAST_LOG_STD, GREATEST_LOG_STD).exp())


def repeated(condition: Condition | None, copies: int) -> Condition | None:
    """Return the condition with each row `copies` times in turn."""
    if condition is None:
        return None
    return condition.map(lambda value: value.repeat_interleave(copies, 0))


def picture_codec(
    shape: tuple[int, ...], latent: int, outputs: int, width: int, blocks: int, classes: int
) -> GaussianCodec:
    """Build the codec of pictures of `shape`: (C, H, W); outputs: numbers for each value of the data."""
    encoder = PictureToCode(shape, 2 * latent, width, blocks, classes)
    return GaussianCodec(encoder, CodeToPicture(shape, latent, outputs, width, blocks, classes))


def vector_codec(
    shape: tuple[int, ...], latent: int, outputs: int, width: int, blocks: int, classes: int
) -> GaussianCodec:
    """Build the codec of vectors of `shape`: (D,); blocks: hidden layers each way."""
    encoder = VectorMap(shape[0], 2 * latent, width, blocks, classes)
    zeroed(encoder.head)
    return GaussianCodec(encoder, VectorMap(latent, outputs * shape[0], width, blocks, classes))

"""Encoders and decoders that are matrices: the linear one, and a small perceptron for vectors.

    linear      z = W·x,                      x~ = V·z + b,          W: (d, m), V: (m, d)
    perceptron  z = tanh(layers of SiLU(x)),  x~ = layers of SiLU(z)

At the least mean square error V spans the first d principal components of the data around their mean, W·V is
the identity, and there is no other minimum (Bourlard & Kamp 1988; Baldi & Hornik 1989). The mean is taken off
by b, which becomes what the span does not hold of it: b = (1 − V·W)·mean. Without b the span would be that of
the uncentred data.
"""

import math

import torch
from torch import Tensor, nn


class Flattened(nn.Module):
    """z = W·x of examples of any shape. size: m; latent: d."""

    def __init__(self, size: int, latent: int) -> None:
        super().__init__()
        self.matrix = nn.Linear(size, latent, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return the codes of x: (B, ...) as float32 (B, d)."""
        # Principal components agree to a fraction of a degree, which bf16 has no digits for.
        with torch.autocast(x.device.type, enabled=False):
            return self.matrix(x.float().flatten(1))


class Shaped(nn.Module):
    """x~ = V·z + b. latent: d; shape: of an example."""

    def __init__(self, latent: int, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.shape = shape
        self.matrix = nn.Linear(latent, math.prod(shape))

    def forward(self, z: Tensor) -> Tensor:
        """Return the examples of codes z: (B, d) as (B, *shape)."""
        with torch.autocast(z.device.type, enabled=False):
            return self.matrix(z.float()).unflatten(1, self.shape)


class LinearCodec(nn.Module):
    """Both linear ways for examples of `shape`; latent: d."""

    def __init__(self, shape: tuple[int, ...], latent: int) -> None:
        super().__init__()
        self.encoder = Flattened(math.prod(shape), latent)
        self.decoder = Shaped(latent, shape)

    def forward(self, x: Tensor, moved: Tensor) -> Tensor:
        """Return what is left of x: (B, ...) behind its code, moved by (B, d)."""
        return self.decoder(self.encoder(x) + moved)


class VectorEncoder(nn.Module):
    """Vectors to codes in (−1, 1). dimensions: D; latent: d; width: of two hidden layers."""

    def __init__(self, dimensions: int, latent: int, width: int) -> None:
        super().__init__()
        self.layers = _perceptron(dimensions, latent, width)

    def forward(self, x: Tensor) -> Tensor:
        """Return the codes of x: (B, D) as float32 (B, d)."""
        return torch.tanh(self.layers(x).float())


class VectorCodec(nn.Module):
    """Both ways for vectors of `dimensions`; the rest as for `VectorEncoder`."""

    def __init__(self, dimensions: int, latent: int, width: int) -> None:
        super().__init__()
        self.encoder = VectorEncoder(dimensions, latent, width)
        self.decoder = _perceptron(latent, dimensions, width)

    def forward(self, x: Tensor, moved: Tensor) -> Tensor:
        """Return what is left of x: (B, D) behind its code, moved by (B, d)."""
        return self.decoder(self.encoder(x) + moved)


def _perceptron(inputs: int, outputs: int, width: int) -> nn.Sequential:
    hidden = (nn.Linear(inputs, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU())
    return nn.Sequential(*hidden, nn.Linear(width, outputs))

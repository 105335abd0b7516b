"""A chain of levels: K encoders, each of which codes what the last one made, and K decoders that undo them.

    q(z_1 … z_K | x) = Π q(z_k | z_{k−1}),      z_0 = x
    p(x, z_1 … z_K)  = p(z_K) Π p(z_{k−1} | z_k),   p(z_K) = N(0, I)

    −log p(x) <= E[ −log p(x | z_1)
                    + Σ over k < K of ( −H(q(z_k | z_{k−1})) − log p(z_k | z_{k+1}) )
                    + KL(q(z_K | z_{K−1}) ‖ p(z_K)) ]

(Sohl-Dickstein et al. 2015 and Luo 2022, "Understanding diffusion models", equation 28, for Markov chains.)
A middle level's divergence has no closed form, because z_{k+1} was made from z_k; its entropy has, and takes
its place. Pairs say who encodes and decodes which level: each level its own, or one pair all of them.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from sfumato.condition import Condition
from sfumato.nets.levels import Level, normal_of, raw_of, standard
from sfumato.normal import Normal
from sfumato.precision import at_least_float32

KEEP = 0.5**0.5
"""How much of a level of the same size reaches the next before training; the other half is noise."""


class Pairs(Protocol):
    """Encoders and decoders by level, from 1 to K."""

    def encode(self, k: int, z: Tensor, condition: Condition | None) -> Tensor:
        """Return mean and log std of q(z_k | z_{k−1} = z): (B, 2·C_k, ...)."""
        ...

    def decode(self, k: int, z: Tensor, condition: Condition | None) -> Tensor:
        """Return mean and log std of p(z_{k−1} | z_k = z), or for k = 1 what the likelihood of x needs."""
        ...


class Near(nn.Module):
    """A map between levels of one size that starts as one step of noising, z ↦ N(KEEP·z, 1 − KEEP²).

    It is its own inverse on unit noise, so an untrained chain of pairs is a right model of unit noise.
    network: (z: (B, C, ...), level: (B,), condition) -> (B, n·C, ...), starting at zero.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, z: Tensor, level: Tensor, condition: Condition | None) -> Tensor:
        """Return the network's output beside that step's mean and log std: (B, n·C, ...)."""
        output = at_least_float32(self.network(z, level, condition))
        channels = z.shape[1]
        spread = output[:, channels:] + raw_of((1 - KEEP**2) ** 0.5)
        return torch.cat([output[:, :channels] + KEEP * z, spread], 1)


class Untold(nn.Module):
    """A network that serves one level and need not be told which. network: (z, condition) -> output."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, z: Tensor, level: Tensor, condition: Condition | None) -> Tensor:
        """Return the network's output."""
        return at_least_float32(self.network(z, condition))


class OwnPairs(nn.Module):
    """A pair of networks for each level; encoders, decoders: in the order of the levels."""

    def __init__(self, encoders: Sequence[nn.Module], decoders: Sequence[nn.Module]) -> None:
        super().__init__()
        self.encoders, self.decoders = nn.ModuleList(encoders), nn.ModuleList(decoders)

    def encode(self, k: int, z: Tensor, condition: Condition | None) -> Tensor:
        """Ask the level's own encoder."""
        return self.encoders[k - 1](z, z.new_full((len(z),), k / len(self.encoders)), condition)

    def decode(self, k: int, z: Tensor, condition: Condition | None) -> Tensor:
        """Ask the level's own decoder."""
        return self.decoders[k - 1](z, z.new_full((len(z),), k / len(self.decoders)), condition)


class SharedPair(nn.Module):
    """One pair of networks for all levels, told as k/K which of them is asked."""

    def __init__(self, encoder: nn.Module, decoder: nn.Module, levels: int) -> None:
        super().__init__()
        self.encoder, self.decoder, self.levels = encoder, decoder, levels

    def encode(self, k: int, z: Tensor, condition: Condition | None) -> Tensor:
        """Ask the one encoder."""
        return self.encoder(z, z.new_full((len(z),), k / self.levels), condition)

    def decode(self, k: int, z: Tensor, condition: Condition | None) -> Tensor:
        """Ask the one decoder."""
        return self.decoder(z, z.new_full((len(z),), k / self.levels), condition)


class Chain(nn.Module):
    """The network of a chain, see `nets.levels.Levels`.

    pairs: see `Pairs`; sizes: of z_K … z_1, the coarsest first; outputs: channels that the likelihood needs.
    """

    pairs: Any
    """A module, and `Pairs`: torch's modules have no such type."""

    def __init__(self, pairs: nn.Module, sizes: tuple[tuple[int, ...], ...], outputs: int) -> None:
        super().__init__()
        self.pairs, self.sizes, self.outputs = pairs, sizes, outputs

    def forward(
        self, x: Tensor, noises: tuple[Tensor, ...], condition: Condition | None
    ) -> tuple[Tensor, tuple[Level, ...]]:
        """Encode level by level, then ask each decoder what it would have expected."""
        z, latents, posteriors = x, [], []
        for k, noise in enumerate(reversed(noises), start=1):
            posterior = normal_of(self.pairs.encode(k, z, condition))
            z = posterior.sample(noise)
            latents.append(z)
            posteriors.append(posterior)
        priors = [self._prior(k, z, condition) for k, z in enumerate(latents[1:], start=2)]
        found = list(map(_middle, latents, posteriors, priors))
        top, pure = posteriors[-1], standard(z)
        found.append(Level(z, top.kl(pure), pure.log_prob(z) - top.log_prob(z)))
        return self._output(latents[0], condition), tuple(reversed(found))

    def generate(self, codes: tuple[Tensor, ...], condition: Condition | None) -> Tensor:
        """Decode level by level."""
        z = codes[0]
        for k, code in zip(range(len(codes), 1, -1), codes[1:], strict=True):
            z = self._prior(k, z, condition).sample(code)
        return self._output(z, condition)

    def _prior(self, k: int, z: Tensor, condition: Condition | None) -> Normal:
        """Return p(z_{k−1} | z_k = z)."""
        return normal_of(self.pairs.decode(k, z, condition))

    def _output(self, z: Tensor, condition: Condition | None) -> Tensor:
        return self.pairs.decode(1, z, condition)[:, : self.outputs]


def _middle(z: Tensor, posterior: Normal, prior: Normal) -> Level:
    """Return what a level below the top adds."""
    expected = prior.log_prob(z)
    return Level(
        (z - prior.mean) / prior.std, -posterior.entropy() - expected, expected - posterior.log_prob(z)
    )

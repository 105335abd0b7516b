"""The multi-scale vector-quantised autoencoder: the tokenizer of VAR (Tian et al. 2024, section 3.2).

    z = encoder(x),    ẑ = Σ_k U_k e[n_k]: maps of codes from coarse to fine,    x ~ p(x | ẑ) by the decoder

See `nets.scale_quantiser`, and `quantised` for the loss and for what it has in common with others. The
numbers of a picture are its maps' one after another, so that what begins with the coarsest is a picture too.
The decoder learns that from rows of which it is shown their first maps alone (Zeghidour et al. 2021,
"SoundStream", section III-C, "quantizer dropout").
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sfumato.condition import Condition
from sfumato.errors import ConfigError
from sfumato.families.agreements import Batch, DataFacts, Draws, TokenFacts
from sfumato.families.autoencoders.quantised import QuantisedAutoencoder
from sfumato.families.autoencoders.vq_vae import VQVAE
from sfumato.nets.scale_quantiser import ScaleQuantiser

MOST_TOKENS = 85
"""Of a picture whose maps nobody chose: 1 + 4 + 16 + 64."""


@dataclass(frozen=True)
class MultiScaleVQ(VQVAE):
    """The design of a multi-scale vector-quantised autoencoder.

    sides: the longer side of each map, growing up to that of the codes' grid, empty for a choice by it;
    truncated: the share of training rows that are shown their first k maps alone, k drawn evenly; the rest as
    for a `VQVAE`.
    """

    sides: tuple[int, ...] = ()
    truncated: float = 0.2

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.sides and not all(a < b for a, b in zip((0, *self.sides), self.sides, strict=False)):
            raise ConfigError(f"sides must grow from at least 1, not {list(self.sides)}")
        if not 0 <= self.truncated <= 1:
            raise ConfigError(f"truncated is a share of rows between 0 and 1, not {self.truncated}")

    def build(self, facts: DataFacts) -> QuantisedAutoencoder:
        """Build it; raise ConfigError for vectors, unfit decoders, and sides that do not end at the grid."""
        return MultiScaleQuantised(*self.parts(facts), self.truncated)

    def quantiser(self, grid: tuple[int, int]) -> nn.Module:
        """Return a codebook for maps up to size `grid`, (h, w)."""
        sides = self.sides or sides_for(grid)
        if sides[-1] != max(grid):
            raise ConfigError(f"sides must end with {max(grid)}, that of the codes' grid, not {sides[-1]}")
        maps = [map_of(side, grid) for side in sides]
        return ScaleQuantiser(maps, self.codes, self.depth, self.commitment)


@dataclass(frozen=True)
class MultiScaleQuantised(QuantisedAutoencoder):
    """Maps of codes: latent_shape is (D, h, w) of their sum; truncated: see `MultiScaleVQ`."""

    truncated: float

    @property
    def writing(self) -> TokenFacts:
        """The maps of codes, the coarsest first."""
        return TokenFacts(len(self.module.quantiser.quantiser.codebook), self.module.quantiser.maps)

    def draw(self, rows: int, shape: tuple[int, ...], generator: torch.Generator) -> Draws:
        """Draw what every quantised autoencoder needs, and how many maps of each row are shown."""
        most = len(self.writing.maps)
        cut = torch.rand(rows, generator=generator) < self.truncated
        kept = torch.randint(1, most + 1, (rows,), generator=generator)
        return {**super().draw(rows, shape, generator), "kept": kept.where(cut, most)}

    def loss(self, batch: Batch, draws: Draws) -> Tensor:
        """Return minus the likelihood of each example in nats, by what is shown of it, and the cost: (B,)."""
        output, cost = self.module(batch.examples, draws["kept"])
        return cost - self.likelihood.log_prob(output, batch.examples)

    def written(self, z: Tensor) -> Tensor:
        """Return the numbers of all maps, the coarsest first: int64 (B, L)."""
        return self.module.quantiser.tokens(z)

    def read(self, tokens: Tensor) -> Tensor:
        """Return the sum of the maps: (B, D, h, w), to which a token that is `UNKNOWN` adds nothing."""
        return self.module.quantiser.sums(tokens)[-1]

    def decode(self, z: Tensor, condition: Condition | None) -> Tensor:
        """Return the likelihood's mean for z: (B, D, h, w), sums of codes or others, as they are.

        Sums are not quantised once more: the maps found for a sum need not be those it was made of.
        """
        return self.likelihood.mean(self.module.decoder(z))


def sides_for(grid: tuple[int, int]) -> tuple[int, ...]:
    """Return the sides of maps up to `grid`, (h, w): its halves, and between them as many as fit.

    The coarse ones are the first to be added, to at most `MOST_TOKENS` tokens: 7×7 has 1, 2, 3, 4 and 7.
    """
    side = max(grid)
    chosen = {side}
    while side > 1:
        side = -(-side // 2)
        chosen.add(side)
    for side in range(1, max(grid)):
        if _tokens(chosen | {side}, grid) <= MOST_TOKENS:
            chosen.add(side)
    return tuple(sorted(chosen))


def map_of(side: int, grid: tuple[int, int]) -> tuple[int, int]:
    """Return the size of the map in the proportions of `grid` whose longer side this is."""
    height, width = (-(-side * length // max(grid)) for length in grid)
    return height, width


def _tokens(sides: set[int], grid: tuple[int, int]) -> int:
    maps = [map_of(side, grid) for side in sides]
    return sum(height * width for height, width in maps)

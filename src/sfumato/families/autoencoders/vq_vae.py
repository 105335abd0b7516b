"""The vector-quantised autoencoder (van den Oord et al. 2017).

    z = encoder(x),    e = the nearest code at each place,    x ~ p(x | e) by the decoder

    loss = −log p(x | e) + Σ ‖stop(z) − e‖² + commitment·Σ ‖z − stop(e)‖²

see `nets.quantiser`, and `quantised` for what it has in common with others: a picture becomes a small map of
whole numbers.
"""

from dataclasses import dataclass

from torch import Tensor, nn

from sfumato.condition import Condition
from sfumato.errors import ConfigError
from sfumato.families.agreements import UNKNOWN, DataFacts, TokenFacts
from sfumato.families.autoencoders.quantised import PLAYER as PLAYER
from sfumato.families.autoencoders.quantised import QuantisedAutoencoder, QuantisedCodec
from sfumato.families.variational.likelihoods import Likelihood, likelihood_for
from sfumato.nets.folded import FoldedReader, FoldedWriter, grid_of
from sfumato.nets.quantiser import Quantiser


@dataclass(frozen=True)
class VQVAE:
    """The design of a vector-quantised autoencoder of pictures.

    codes: size of the codebook; depth: numbers in a code; decoder, std: as for a `VAE`; commitment: the
    weight that binds an encoding to its code; width: channels; blocks: residual blocks each way.
    """

    codes: int = 512
    depth: int = 8
    decoder: str = "gaussian"
    std: float | None = None
    commitment: float = 0.25
    width: int = 128
    blocks: int = 1

    def __post_init__(self) -> None:
        for name, least in (("codes", 2), ("depth", 1), ("width", 1), ("blocks", 1)):
            if getattr(self, name) < least:
                raise ConfigError(f"{name} must be at least {least}, not {getattr(self, name)}")
        if self.commitment < 0:
            raise ConfigError(f"commitment must be at least 0, not {self.commitment}")

    def build(self, facts: DataFacts) -> QuantisedAutoencoder:
        """Build it; raise ConfigError for vectors, and for a decoder that the data is not for."""
        return VectorQuantised(*self.parts(facts))

    def quantiser(self, grid: tuple[int, int]) -> nn.Module:
        """Return what makes codes of a map of size `grid`, (h, w)."""
        return Quantiser(self.codes, self.depth, self.commitment)

    def parts(self, facts: DataFacts) -> tuple[QuantisedCodec, Likelihood, tuple[int, int, int]]:
        """Return the networks, the likelihood that reads their output, and the shape of a code."""
        if len(facts.shape) != 3:
            raise ConfigError("a codebook is for maps of pictures, not for vectors: choose family vae")
        observed, grid = likelihood_for(facts, self.decoder, self.std), grid_of(facts.shape)
        module = QuantisedCodec(
            FoldedReader(facts.shape, self.depth, self.width, self.blocks),
            self.quantiser(grid),
            FoldedWriter(facts.shape, self.depth, observed.outputs, self.width, self.blocks),
        )
        return module, observed, (self.depth, *grid)


@dataclass(frozen=True)
class VectorQuantised(QuantisedAutoencoder):
    """One map of codes: latent_shape is (D, h, w), and a picture has h·w tokens in raster order."""

    @property
    def writing(self) -> TokenFacts:
        """One map of codes."""
        return TokenFacts(len(self.module.quantiser.codebook), (self.latent_shape[1:],))

    def written(self, z: Tensor) -> Tensor:
        """Return the numbers of the nearest codes: int64 (B, h·w)."""
        return self.module.quantiser.nearest(z).flatten(1)

    def read(self, tokens: Tensor) -> Tensor:
        """Return the codes: (B, D, h, w). Where one is `UNKNOWN` nothing is said: zeros."""
        numbers = tokens.unflatten(1, self.latent_shape[1:])
        return self.module.quantiser.lookup(numbers.clamp(min=0)) * (numbers != UNKNOWN)[:, None]

    def decode(self, z: Tensor, condition: Condition | None) -> Tensor:
        """Return the likelihood's mean for z: (B, D, h, w), each place of which is quantised first."""
        return self.decode_tokens(self.written(z))

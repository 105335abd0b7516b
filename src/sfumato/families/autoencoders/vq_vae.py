"""The vector-quantised autoencoder (van den Oord et al. 2017).

    z = encoder(x),    e = the nearest code at each place,    x ~ p(x | e) by the decoder

    loss = −log p(x | e) + Σ ‖stop(z) − e‖² + commitment·Σ ‖z − stop(e)‖²

in nats and squares summed over all places, see `nets.quantiser`. A picture becomes a small map of whole
numbers. There is no prior over these maps, so this is an autoencoder and no generator: one is had by learning
the maps' distribution with another model.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import Tensor, nn

from sfumato.condition import Condition
from sfumato.errors import ConfigError
from sfumato.families.agreements import UNKNOWN, Batch, DataFacts, Draws, Player, TokenFacts
from sfumato.families.variational.likelihoods import Likelihood, likelihood_for
from sfumato.nets.folded import FoldedReader, FoldedWriter, grid_of
from sfumato.nets.quantiser import Quantiser, perplexity

PLAYER = "autoencoder"
WATCHED = 0.125
"""The share of a batch that is encoded again to see which codes are in use."""


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

    def build(self, facts: DataFacts) -> "VectorQuantised":
        """Build it; raise ConfigError for vectors, and for a decoder that the data is not for."""
        if len(facts.shape) != 3:
            raise ConfigError("a codebook is for maps of pictures, not for vectors: choose family vae")
        observed = likelihood_for(facts, self.decoder, self.std)
        module = QuantisedCodec(
            FoldedReader(facts.shape, self.depth, self.width, self.blocks),
            Quantiser(self.codes, self.depth, self.commitment),
            FoldedWriter(facts.shape, self.depth, observed.outputs, self.width, self.blocks),
        )
        return VectorQuantised(module, observed, (self.depth, *grid_of(facts.shape)))


class QuantisedCodec(nn.Module):
    """Encoder, codebook and decoder in one network."""

    def __init__(self, encoder: nn.Module, quantiser: Quantiser, decoder: nn.Module) -> None:
        super().__init__()
        self.encoder, self.quantiser, self.decoder = encoder, quantiser, decoder

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the decoder's output for x: (B, C, H, W), and the cost of its codes: (B,)."""
        quantised, cost = self.quantiser(self.encoder(x))
        return self.decoder(quantised), cost


@dataclass(frozen=True)
class VectorQuantised:
    """A quantised codec and the likelihood that reads its output. latent_shape: (D, h, w)."""

    module: QuantisedCodec
    likelihood: Likelihood
    latent_shape: tuple[int, int, int]

    def players(self) -> tuple[Player, ...]:
        """Return the one player, whose dead codes are revived after it has moved."""
        return (Player(PLAYER, self.module, self.loss, after=self.revive),)

    def draw(self, rows: int, shape: tuple[int, ...], generator: torch.Generator) -> Draws:
        """Draw who is watched for dead codes, and what each row offers to which of them."""
        places = self.latent_shape[1] * self.latent_shape[2]
        return {
            "watched": torch.rand(rows, generator=generator) < WATCHED,
            "place": torch.randint(places, (rows,), generator=generator),
            "lot": torch.rand(rows, generator=generator),
        }

    def with_modules(self, modules: Mapping[str, Callable[..., Tensor]]) -> "VectorQuantised":
        """Return the same model around another form of its networks."""
        return replace(self, module=cast(QuantisedCodec, modules.get(PLAYER, self.module)))

    def loss(self, batch: Batch, draws: Draws) -> Tensor:
        """Return minus the likelihood of each example in nats and the cost of its codes: (B,)."""
        output, cost = self.module(batch.examples)
        return cost - self.likelihood.log_prob(output, batch.examples)

    @torch.no_grad()
    def revive(self, batch: Batch, draws: Draws) -> None:
        """Follow the codes' usage on the watched examples, and move dead codes to some encodings of them."""
        watched = draws["watched"]
        some = batch.examples[watched]
        # A process without a watched row still takes part; torch folds no empty batch.
        z = self.module.encoder(some) if len(some) else some.new_zeros(0, *self.latent_shape)
        self.module.quantiser.revive(z, draws["place"][watched], draws["lot"][watched])

    @torch.no_grad()
    def measures(self, batch: Batch, draws: Draws) -> Mapping[str, float]:
        """Return the reconstruction's cost, and how much of the codebook a batch uses."""
        output, _ = self.module(batch.examples)
        counts = torch.bincount(self.codes(batch.examples).flatten(), minlength=self._size)
        return {
            "reconstruction (nats)": -float(self.likelihood.log_prob(output, batch.examples).mean()),
            "codebook perplexity (codes)": perplexity(counts),
            "codes used (share)": float((counts > 0).double().mean()),
        }

    @property
    def _size(self) -> int:
        return len(self.module.quantiser.codebook)

    def codes(self, x: Tensor) -> Tensor:
        """Return the numbers of the codes of x: (B, C, H, W) as int64 (B, h, w)."""
        return self.module.quantiser.nearest(self.module.encoder(x))

    def encode(self, x: Tensor, condition: Condition | None) -> Tensor:
        """Return the codes themselves: (B, D, h, w)."""
        return self.module.quantiser.lookup(self.codes(x))

    def decode(self, z: Tensor, condition: Condition | None) -> Tensor:
        """Return the likelihood's mean for z: (B, D, h, w), each place of which is quantised first."""
        return self.decode_codes(self.module.quantiser.nearest(z))

    def decode_codes(self, numbers: Tensor) -> Tensor:
        """Return the likelihood's mean for codes by their numbers: int64 (B, h, w), as (B, C, H, W).

        Where one is `UNKNOWN` nothing is said, which the decoder hears as zeros.
        """
        known = self.module.quantiser.lookup(numbers.clamp(min=0)) * (numbers != UNKNOWN)[:, None]
        return self.likelihood.mean(self.module.decoder(known))

    @property
    def writing(self) -> TokenFacts:
        """One map of codes."""
        return TokenFacts(self._size, (self.latent_shape[1:],))

    def tokens(self, x: Tensor) -> Tensor:
        """Return the numbers of the codes of x in raster order: int64 (B, h·w)."""
        return self.codes(x).flatten(1)

    def decode_tokens(self, tokens: Tensor) -> Tensor:
        """Return the likelihood's mean for numbers (B, h·w): (B, C, H, W)."""
        return self.decode_codes(tokens.unflatten(1, self.latent_shape[1:]))

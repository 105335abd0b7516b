"""What all autoencoders with a codebook share: a picture becomes whole numbers and comes back from them.

    loss = −log p(x | ẑ) + the cost of the codes,    ẑ = read(written(encoder(x)))

in nats and squares summed over all places, where ẑ has the encoder's gradient. There is no prior over the
numbers, so these are autoencoders and no generators: one is had by learning the numbers' distribution with
another model.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self, cast

import torch
from torch import Tensor, nn

from sfumato.condition import Condition
from sfumato.families.agreements import Batch, Draws, Player, TokenFacts
from sfumato.families.variational.likelihoods import Likelihood
from sfumato.nets.quantiser import perplexity

PLAYER = "autoencoder"
WATCHED = 0.125
"""The share of a batch that is encoded again to see which codes are in use."""


class QuantisedCodec(nn.Module):
    """Encoder, codebook and decoder in one network.

    quantiser: (z, ...) -> (ẑ, cost), which can `revive` dead codes.
    """

    def __init__(self, encoder: nn.Module, quantiser: Any, decoder: nn.Module) -> None:
        super().__init__()
        self.encoder, self.quantiser, self.decoder = encoder, quantiser, decoder

    def forward(self, x: Tensor, *how: Tensor) -> tuple[Tensor, Tensor]:
        """Return the decoder's output for x: (B, C, H, W), and the cost of its codes: (B,).

        how: what else the quantiser is told.
        """
        quantised, cost = self.quantiser(self.encoder(x), *how)
        return self.decoder(quantised), cost


@dataclass(frozen=True)
class QuantisedAutoencoder(ABC):
    """A quantised codec and the likelihood that reads its output. latent_shape: (D, h, w)."""

    module: QuantisedCodec
    likelihood: Likelihood
    latent_shape: tuple[int, int, int]

    @property
    @abstractmethod
    def writing(self) -> TokenFacts:
        """The tokens and their maps."""

    @abstractmethod
    def written(self, z: Tensor) -> Tensor:
        """Return the tokens of what was encoded, z: (B, D, h, w), as int64 (B, L)."""

    @abstractmethod
    def read(self, tokens: Tensor) -> Tensor:
        """Return what the decoder is shown for tokens (B, L), some perhaps `UNKNOWN`: (B, D, h, w)."""

    @abstractmethod
    def decode(self, z: Tensor, condition: Condition | None) -> Tensor:
        """Return the likelihood's mean for z: (B, D, h, w)."""

    def players(self) -> tuple[Player, ...]:
        """Return the one player, whose dead codes are revived after it has moved.

        Its loss is not compared with earlier ones: the cost of codes grows with the spread of encodings, and
        is least before there is any.
        """
        return (Player(PLAYER, self.module, self.loss, steady=False, after=self.revive),)

    def draw(self, rows: int, shape: tuple[int, ...], generator: torch.Generator) -> Draws:
        """Draw who is watched for dead codes, and what each row offers to which of them."""
        return {
            "watched": torch.rand(rows, generator=generator) < WATCHED,
            "place": torch.randint(self.writing.count, (rows,), generator=generator),
            "lot": torch.rand(rows, generator=generator),
        }

    def with_modules(self, modules: Mapping[str, Callable[..., Tensor]]) -> Self:
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
        numbers = self.tokens(batch.examples).flatten()
        counts = torch.bincount(numbers, minlength=self.writing.vocabulary)
        return {
            "reconstruction (nats)": -float(self.likelihood.log_prob(output, batch.examples).mean()),
            "codebook perplexity (codes)": perplexity(counts),
            "codes used (share)": float((counts > 0).cpu().double().mean()),
        }

    def tokens(self, x: Tensor) -> Tensor:
        """Return the tokens of x: (B, C, H, W) as int64 (B, L)."""
        return self.written(self.module.encoder(x))

    def encode(self, x: Tensor, condition: Condition | None) -> Tensor:
        """Return what the decoder is shown of x: (B, C, H, W), as (B, D, h, w)."""
        return self.read(self.tokens(x))

    def decode_tokens(self, tokens: Tensor) -> Tensor:
        """Return the likelihood's mean for tokens (B, L), some of which may be `UNKNOWN`: (B, C, H, W)."""
        return self.likelihood.mean(self.module.decoder(self.read(tokens)))

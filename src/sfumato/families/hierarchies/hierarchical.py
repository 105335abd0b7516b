"""Chains of autoencoders, each of which codes what the one before it made (`nets.chain`).

    x ⇄ z_1 ⇄ z_2 ⇄ … ⇄ z_K,   every arrow to the right an encoder q, to the left the decoder p that undoes it

Three of them lead from the autoencoder to diffusion. `PairsVAE`: K pairs with their own weights, sizes free.
`EqualVAE`: all latents have the data's size. `SharedVAE`: besides, one pair serves all levels and is told
which it is at. Where its encoder only adds known noise, the chain is a diffusion model
(`families.hierarchies.fixed_noise`).
"""

from dataclasses import dataclass

from torch import nn

from sfumato.errors import ConfigError
from sfumato.families.agreements import DataFacts
from sfumato.families.hierarchies.design import HierarchyDesign
from sfumato.nets.chain import Chain, Near, OwnPairs, SharedPair, Untold
from sfumato.nets.conditions import Labels
from sfumato.nets.embedding import LABEL
from sfumato.nets.gaussian_codec import picture_codec, vector_codec
from sfumato.nets.mlp import MLP
from sfumato.nets.unet import UNet

LARGE_SIDE = 24
"""Pixels a side from which pictures are folded 2×2."""


def _positive(**numbers: int) -> None:
    for name, number in numbers.items():
        if number < 1:
            raise ConfigError(f"{name} must be at least 1, not {number}")


@dataclass(frozen=True, kw_only=True)
class PairsVAE(HierarchyDesign):
    """A pair of networks for each level, all levels rows of numbers.

    sizes: numbers in z_1, z_2, …; width: channels of the networks; blocks: how many residual blocks each has.
    """

    sizes: tuple[int, ...] = (64, 32, 16)
    width: int = 128
    blocks: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.sizes:
            raise ConfigError("sizes must name the numbers in at least one level, such as (64, 32)")
        _positive(sizes=min(self.sizes), width=self.width, blocks=self.blocks)

    def network(self, facts: DataFacts, outputs: int, classes: int) -> nn.Module:
        """Build the chain: the first pair meets the data, the others rows of numbers."""
        first = picture_codec if len(facts.shape) == 3 else vector_codec
        codecs = [first(facts.shape, self.sizes[0], outputs, self.width, self.blocks, classes)]
        for fine, coarse in zip(self.sizes, self.sizes[1:], strict=False):
            codecs.append(vector_codec((fine,), coarse, 2, self.width, self.blocks, classes))
        pairs = OwnPairs(
            [Untold(codec.encoder) for codec in codecs], [Untold(codec.decoder) for codec in codecs]
        )
        return Chain(pairs, tuple((size,) for size in reversed(self.sizes)), outputs * facts.shape[0])


@dataclass(frozen=True, kw_only=True)
class EqualVAE(HierarchyDesign):
    """Latents of the data's own size, each level with its own pair.

    levels: K; width: channels of the networks at their finest scale.
    """

    levels: int = 3
    width: int = 32

    def __post_init__(self) -> None:
        super().__post_init__()
        _positive(levels=self.levels, width=self.width)

    def network(self, facts: DataFacts, outputs: int, classes: int) -> nn.Module:
        """Build the chain of K pairs, each of which starts as a step of noising and its undoing."""
        encoders = [Near(trunk(facts, self.width, 2, classes)) for _ in range(self.levels)]
        wanted = [outputs] + [2] * (self.levels - 1)
        decoders = [Near(trunk(facts, self.width, numbers, classes)) for numbers in wanted]
        return Chain(OwnPairs(encoders, decoders), (facts.shape,) * self.levels, outputs * facts.shape[0])


@dataclass(frozen=True, kw_only=True)
class SharedVAE(EqualVAE):
    """Latents of the data's own size, and one pair for all levels, told which of them is asked."""

    levels: int = 4

    def network(self, facts: DataFacts, outputs: int, classes: int) -> nn.Module:
        """Build the chain of one pair; its decoder puts out what a level or the likelihood needs."""
        encoder = Near(trunk(facts, self.width, 2, classes))
        decoder = Near(trunk(facts, self.width, max(2, outputs), classes))
        pair = SharedPair(encoder, decoder, self.levels)
        return Chain(pair, (facts.shape,) * self.levels, outputs * facts.shape[0])


def trunk(facts: DataFacts, width: int, outputs: int, classes: int) -> nn.Module:
    """Return a network of a diffusion model, from an example and a level to `outputs` numbers a value."""
    conditions = {LABEL: Labels(classes)} if classes else {}
    if len(facts.shape) == 1:
        return MLP(facts.shape[0], 4 * width, conditions=conditions, outputs=outputs)
    fold = 2 if min(facts.shape[1:]) >= LARGE_SIDE else 1
    return UNet(facts.shape[0], (width, 2 * width), fold=fold, conditions=conditions, outputs=outputs)

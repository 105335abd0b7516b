"""Next pixel: the values of a picture in raster order, with an exact likelihood (van den Oord et al. 2016).

A picture of C·H·W values is that many tokens, row after row, the channels of a place one after another. Two
networks predict them: a transformer, which keeps what it has worked out, and a gated PixelCNN.
"""

from dataclasses import dataclass

from sfumato.errors import ConfigError
from sfumato.families.agreements import DataFacts
from sfumato.families.autoregressive.autoregressive import Autoregressive
from sfumato.families.autoregressive.design import CausalDesign, TokenDesign
from sfumato.families.autoregressive.letters import Levels
from sfumato.nets.causal.convolution import PixelCNN
from sfumato.nets.causal.order import Order, Raster
from sfumato.nets.causal.transformer import CausalNetwork
from sfumato.nets.causal.vocabulary import Vocabulary


@dataclass(frozen=True)
class Pixels(TokenDesign):
    """Any network over pixels.

    levels: how many values a channel of a pixel has, 2 to 256.
    """

    levels: int = 256

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 2 <= self.levels <= 256:
            raise ConfigError(f"levels are 2 (black and white) to 256 (bytes), not {self.levels}")

    def build(self, facts: DataFacts) -> Autoregressive:
        """Build it; raise ConfigError for anything but pictures with bounded values."""
        if len(facts.shape) != 3 or facts.bounds is None:
            raise ConfigError("pixels in raster order are for pictures themselves, not for points or codes")
        channels, height, width = facts.shape
        letters = Levels((channels, height, width), self.levels)
        return self.model(Raster(height, width, channels), letters, facts)


@dataclass(frozen=True)
class NextPixel(Pixels, CausalDesign):
    """A transformer over pixels."""


@dataclass(frozen=True)
class NextPixelByConvolution(Pixels):
    """A gated PixelCNN."""

    def network(self, order: Order, vocabulary: Vocabulary, facts: DataFacts) -> CausalNetwork:
        """Return the convolutional network."""
        assert isinstance(order, Raster)
        return PixelCNN(order, vocabulary, self.width, self.layers, facts.told)

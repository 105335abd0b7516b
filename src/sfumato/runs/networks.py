"""The networks a configuration can name: their shape as the user sets it, the rest from the data."""

from dataclasses import dataclass

from torch import nn

from sfumato.errors import ConfigError
from sfumato.nets.conditions import Kinds
from sfumato.nets.mlp import MLP
from sfumato.nets.unet import UNet, smallest_side


@dataclass(frozen=True)
class UNetShape:
    """A U-Net for pictures, see `nets.unet.UNet`."""

    widths: tuple[int, ...] = (64, 128)
    blocks: int = 2
    fold: int = 1
    attention: bool = True

    def __post_init__(self) -> None:
        if not self.widths or min(self.widths) < 8 or any(width % 8 for width in self.widths):
            raise ConfigError(f"a U-Net needs widths that are multiples of 8, not {list(self.widths)}")
        if self.blocks < 1 or self.fold < 1:
            raise ConfigError("a U-Net needs at least 1 block a level and a fold of at least 1")

    def build(self, shape: tuple[int, ...], conditions: Kinds, outputs: int) -> nn.Module:
        """Build the network for pictures of `shape`: (C, H, W), `outputs` times as many numbers out."""
        if len(shape) != 3:
            raise ConfigError(f"a U-Net is for pictures, not for examples of shape {shape}: use 'mlp'.")
        least = smallest_side(len(self.widths), self.fold)
        if min(shape[1:]) < least:
            raise ConfigError(
                f"a U-Net of {len(self.widths)} levels and fold {self.fold} needs pictures of {least} pixels "
                f"or more, not {shape[1]}×{shape[2]}: set fewer network.widths or a smaller network.fold."
            )
        return UNet(shape[0], self.widths, self.blocks, self.fold, self.attention, conditions, outputs)


@dataclass(frozen=True)
class MLPShape:
    """A multilayer perceptron for vectors, see `nets.mlp.MLP`."""

    width: int = 128
    layers: int = 4

    def __post_init__(self) -> None:
        if self.width < 1 or self.layers < 1:
            raise ConfigError("an MLP needs a width and a number of layers of at least 1")

    def build(self, shape: tuple[int, ...], conditions: Kinds, outputs: int) -> nn.Module:
        """Build the network for vectors of `shape`: (D,), `outputs` times as many numbers out."""
        if len(shape) != 1:
            raise ConfigError(f"an MLP is for vectors, not for examples of shape {shape}: use 'unet'.")
        return MLP(shape[0], self.width, self.layers, conditions, outputs)

"""Critics of an adversarial game: networks that say of an example, and its label, how real it looks.

They carry no norm, because a penalty on a critic's slope is a penalty for each example alone (Gulrajani et
al. 2017, section 4), and blocks that start as the identity, which makes up for it (Zhang et al. 2019; in this
game Huang et al. 2024). The label enters by projection (Miyato & Koyama 2018): with features φ(x) and a
learned vector w_y for each class,

    D(x, y) = W·φ(x) + w_y·φ(x)/√F,    F the length of φ(x).
"""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sfumato.condition import Condition
from sfumato.nets.blocks import zeroed
from sfumato.nets.embedding import LabelEmbedding
from sfumato.nets.generator import fold_of, levels_of
from sfumato.nets.scales import Pointwise

LEAK = 0.2


class PlainBlock(nn.Module):
    """Two 3×3 convolutions around which the input passes (He et al. 2016), without norms."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.inner = nn.Conv2d(width, width, 3, padding=1)
        self.outer = zeroed(nn.Conv2d(width, width, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, width, H, W) to the same shape."""
        return x + self.outer(F.leaky_relu(self.inner(F.leaky_relu(x, LEAK)), LEAK))


class Verdict(nn.Module):
    """What is said of features, given the label: the projection above.

    features: F; outputs: how many numbers are said; classes: number of labels, 0 for none.
    """

    def __init__(self, features: int, outputs: int, classes: int) -> None:
        super().__init__()
        self.alike = nn.Linear(features, outputs)
        self.label = LabelEmbedding(classes, outputs * features) if classes else None

    def forward(self, features: Tensor, condition: Condition | None) -> Tensor:
        """Map features: (B, F) to (B, outputs), float32."""
        said = self.alike(features).float()
        if self.label is None:
            return said
        towards = self.label(condition, len(features)).unflatten(1, (said.shape[1], -1))
        return said + (towards * features[:, None]).float().sum(2) / math.sqrt(features.shape[1])


class PictureCritic(nn.Module):
    """The network: (x: (B, C, H, W), condition) -> (B, outputs).

    shape: (C, H, W); outputs: how many numbers it says; width: channels of the finest grid, doubled on all
    coarser ones; classes: number of labels, 0 for none; features: what the picture is summed up in.
    """

    def __init__(
        self, shape: tuple[int, int, int], outputs: int, width: int, classes: int = 0, features: int = 256
    ) -> None:
        super().__init__()
        channels, *size = shape
        self.fold, levels = fold_of((size[0], size[1])), levels_of((size[0], size[1]))
        widths = [width] + [2 * width] * (len(levels) - 1)
        self.stem = nn.Conv2d(channels * self.fold**2, width, 3, padding=1)
        self.blocks = nn.ModuleList(PlainBlock(wide) for wide in widths)
        self.shrink = nn.ModuleList(Pointwise(4 * fine, coarse) for fine, coarse in pairwise(widths))
        self.sum_up = nn.Linear(widths[-1] * math.prod(levels[-1]), features)
        self.verdict = Verdict(features, outputs, classes)

    def forward(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        """Return (B, outputs), float32."""
        h = self.stem(folded(x, self.fold))
        for place, block in enumerate(self.blocks):
            if place:
                h = self.shrink[place - 1](folded(h, 2))
            h = block(h)
        features = F.leaky_relu(self.sum_up(F.leaky_relu(h, LEAK).flatten(1)), LEAK)
        return self.verdict(features, condition)


def folded(x: Tensor, fold: int) -> Tensor:
    """Fold pixels of x: (B, C, H, W) into channels, after repeating the edge of sides that do not divide."""
    bottom, right = (-side % fold for side in x.shape[2:])
    if bottom or right:
        x = F.pad(x, (0, right, 0, bottom), mode="replicate")
    return F.pixel_unshuffle(x, fold).contiguous(memory_format=torch.channels_last)


class VectorCritic(nn.Module):
    """The network: (x: (B, D), condition) -> (B, outputs).

    It is shown sines and cosines of each coordinate besides (Mildenhall et al. 2020, equation 4), because a
    perceptron learns what is fine only after what is coarse, and a generator cannot become sharper than its
    critic sees. dimensions: D; outputs, classes: as above; width: of the hidden layers; layers: how many;
    octaves: frequencies 1, 2, 4, … radians a unit.
    """

    def __init__(
        self,
        dimensions: int,
        outputs: int,
        width: int,
        classes: int = 0,
        layers: int = 3,
        octaves: int = 5,
    ) -> None:
        super().__init__()
        self.octaves = octaves
        sizes = [dimensions * (1 + 2 * octaves), *[width] * layers]
        self.layers = nn.ModuleList(nn.Linear(before, after) for before, after in pairwise(sizes))
        self.verdict = Verdict(width, outputs, classes)

    def forward(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        """Return (B, outputs), float32."""
        angles = torch.cat([x * 2.0**octave for octave in range(self.octaves)], 1)
        h = torch.cat([x, angles.sin(), angles.cos()], 1)
        for layer in self.layers:
            h = F.leaky_relu(layer(h), LEAK)
        return self.verdict(h, condition)

"""The judge's network: a few convolutions, 64 features, one linear layer.

    fold → [3×3 convolution, batch norm, ReLU, pool] × 3 → residual → average → 64 features → outputs

A picture wider than 32 pixels is *folded* first: each f×f block of pixels becomes f² channels (Shi et al.
2016, the inverse of the pixel shuffle). The work per picture stays that of 32×32 and no fine detail is
thrown away, as shrinking would: a judge that cannot see blur cannot punish it.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

FEATURES = 64
LARGEST_SIDE = 32
WIDTHS = (16, 48, 96)


class JudgeNet(nn.Module):
    """A small convolutional network for pictures of at least 8×8 pixels.

    shape: (C, H, W) of a picture; outputs: the number of classes it tells apart.
    """

    def __init__(self, shape: tuple[int, ...], outputs: int) -> None:
        super().__init__()
        channels, height, width = shape
        self.fold = fold_of(shape)
        side = -(-min(height, width) // self.fold)
        layers: list[nn.Module] = []
        previous = channels * self.fold**2
        for wide in WIDTHS:
            layers.append(_convolution(previous, wide))
            if side >= 4:  # a map of 2×2 or 3×3 has little layout left to pool
                layers.append(nn.MaxPool2d(2))
                side //= 2
            previous = wide
        self.trunk = nn.Sequential(*layers)
        self.refine = _convolution(previous, previous)
        self.embed = nn.Linear(previous, FEATURES)
        self.head = nn.Linear(FEATURES, outputs)

    def features(self, x: Tensor) -> Tensor:
        """Return the penultimate features of pictures x: (B, C, H, W) in [−1, 1]; (B, 64), not negative."""
        h = self.trunk(self._folded(x))
        h = h + self.refine(h)
        return F.relu(self.embed(h.mean((2, 3))))

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits of pictures x: (B, C, H, W) in [−1, 1]; (B, outputs)."""
        return self.head(self.features(x))

    def _folded(self, x: Tensor) -> Tensor:
        if self.fold == 1:
            return x
        rows, columns = -x.shape[2] % self.fold, -x.shape[3] % self.fold
        padded = F.pad(x, (0, columns, 0, rows), mode="replicate")
        return F.pixel_unshuffle(padded, self.fold).contiguous(memory_format=torch.channels_last)


def fold_of(shape: tuple[int, ...]) -> int:
    """Return the side of the blocks that are folded into channels, for pictures of shape (C, H, W)."""
    return -(-max(shape[1:]) // LARGEST_SIDE)


def empty_network(shape: tuple[int, ...], outputs: int) -> JudgeNet:
    """Build a network whose weights are still to be filled in."""
    # Built without memory: the layers' own initialisation would draw from the global generator.
    with torch.device("meta"):
        net = JudgeNet(shape, outputs)
    on_cpu = net.to_empty(device="cpu")
    return on_cpu.to(memory_format=torch.channels_last)  # type: ignore[call-overload] # not in torch's stubs


def fresh_network(shape: tuple[int, ...], outputs: int, generator: torch.Generator) -> JudgeNet:
    """Build a network whose weights depend on `generator` alone (He et al. 2015; biases zero)."""
    net = empty_network(shape, outputs)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()
        elif isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return net


def _convolution(inputs: int, outputs: int) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU())

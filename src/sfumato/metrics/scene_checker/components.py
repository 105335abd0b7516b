"""Which pixels belong together: those that touch, at an edge or a corner.

Every pixel starts with a number of its own; then each takes the largest among itself and its eight
neighbours, until nothing changes.
"""

import torch
from torch import Tensor
from torch.nn import functional as F


def label(mask: Tensor) -> Tensor:
    """Number the components of masks: bool (N, H, W) -> int64 (N, H, W).

    A component's number is one of 1 to H·W, the same for all its pixels and for no others of its mask; 0 is
    outside.
    """
    height, width = mask.shape[1:]
    # Whole numbers up to 2^24 are exact in float32, and pictures are far smaller.
    own = torch.arange(1.0, height * width + 1).reshape(1, 1, height, width)
    inside = mask[:, None]
    labels = own * inside
    some = mask.flatten(1).any(1)  # most colours are in no pixel of a picture
    labels[some] = _flooded(labels[some], inside[some])
    return labels[:, 0].long()


def _flooded(labels: Tensor, mask: Tensor) -> Tensor:
    """Let the largest number of every component fill it."""
    while True:
        spread = F.max_pool2d(labels, 3, stride=1, padding=1) * mask
        if torch.equal(spread, labels):
            return labels
        labels = spread

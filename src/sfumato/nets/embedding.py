"""How a network is told the noise level and the condition.

The level enters as sines and cosines of several frequencies (Vaswani et al. 2017, section 3.5), a label as
a learned vector. A dropped row gets one learned vector of its own, "no condition", whatever was dropped.
"""

import math

import torch
from torch import Tensor, nn

from sfumato.condition import Condition

LABEL = "label"


class LevelEmbedding(nn.Module):
    """Fourier features of the level, then a small network.

    width: length of the embedding; frequencies: how many, from slow to fast in powers of 2^(1/2).
    """

    def __init__(self, width: int, frequencies: int = 24) -> None:
        super().__init__()
        self.frequencies = frequencies
        self.project = nn.Sequential(nn.Linear(2 * frequencies, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, level: Tensor) -> Tensor:
        """Embed `level`: (B,), numbers of about unit size, as (B, width)."""
        # Computed, not stored: a buffer would be averaged, saved and cast to bf16 for nothing.
        powers = torch.arange(self.frequencies, device=level.device, dtype=level.dtype) / 2 - 3
        angles = level[:, None] * (math.pi * torch.exp2(powers))
        return self.project(torch.cat([angles.cos(), angles.sin()], 1))


class LabelEmbedding(nn.Module):
    """A learned vector a class, and one for "no condition".

    classes: number of classes, 0 for none at all.
    """

    def __init__(self, classes: int, width: int) -> None:
        super().__init__()
        self.none = nn.Parameter(torch.zeros(width))
        # Classes start far apart: from zeros, they would wait for the modulation to tell them apart.
        self.table = nn.Parameter(torch.empty(classes, width)) if classes else None
        if self.table is not None:
            nn.init.normal_(self.table)

    def forward(self, condition: Condition | None, rows: int) -> Tensor:
        """Embed the labels of a batch of `rows` examples as (B, width)."""
        if self.table is None or condition is None or LABEL not in condition.values:
            return self.none.expand(rows, -1)
        chosen = self.table[condition.values[LABEL]]
        return torch.where(condition.dropped[LABEL][:, None], self.none, chosen)

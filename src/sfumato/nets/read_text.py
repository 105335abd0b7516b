"""A sentence that a network of others has read already: its features, brought to the sizes at hand.

    each = present · Linear(norm(f)),    whole = Linear(mean of norm(f) over the words that are present)

Encoders differ in the size of their features, so each is normalised first, which Saharia et al. 2022, section
2.3, found to help considerably, too.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sfumato.condition import Condition
from sfumato.nets.conditions import Said
from sfumato.nets.text import Words

WORDS = 128
"""The width of the words at which pixels look, that of the transformer which reads where none is given."""


@dataclass(frozen=True)
class ReadText:
    """A sentence as features of its words and, behind them, 1 for a word and 0 for padding.

    These are float (B, length, width + 1), zero wherever there is padding.
    """

    length: int
    width: int
    words = WORDS
    channels = 0

    def reader(self, name: str, width: int) -> nn.Module:
        """Return the module that brings its words to `WORDS` and its whole to `width`."""
        return ReadSentence(name, self, width)


class ReadSentence(nn.Module):
    """A condition that is a sentence read beforehand; hidden, it has no words."""

    def __init__(self, name: str, kind: ReadText, width: int) -> None:
        super().__init__()
        self.name, self.shape = name, (kind.length, kind.width + 1)
        self.norm = nn.LayerNorm(kind.width)
        self.words = nn.Linear(kind.width, kind.words)
        self.project = nn.Linear(kind.width, width)
        self.not_told = nn.Parameter(torch.zeros(width))

    def forward(self, condition: Condition | None, rows: int) -> Said:
        """Return what a batch of `rows` is told: (B, width) and words (B, length, WORDS)."""
        if condition is None or self.name not in condition.values:
            # Read as padding, so that untold rows cost and say the same as hidden ones, to the last bit.
            features = self.not_told.new_zeros(rows, *self.shape)
            dropped = torch.ones(rows, dtype=torch.bool, device=features.device)
        else:
            features, dropped = condition.values[self.name], condition.dropped[self.name]
        words = self._read(features.masked_fill(dropped[:, None, None], 0.0))
        return Said(torch.where(dropped[:, None], self.not_told, words.whole), words)

    def _read(self, features: Tensor) -> Words:
        """Return the words and the whole of features (B, length, width + 1)."""
        present = features[..., -1] > 0
        shown = present[..., None]
        normed = self.norm(features[..., :-1]) * shown
        mean = normed.sum(1) / shown.sum(1).clamp(min=1)
        return Words(self.words(normed) * shown, present, self.project(mean))

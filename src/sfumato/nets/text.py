"""A small transformer that reads sentences (Vaswani et al. 2017), each layer's norm before it.

    h = words + places;    h ← h + attention(norm h);    h ← h + perceptron(norm h);    whole = norm h at END

(pre-norm as in Radford et al. 2019, which trains without a slow start.) Every word looks at every other: the
words of a caption are read at once and none is predicted, and a network that looks at single words should
find in each what the sentence makes of it. That of Radford et al. 2021 looks back alone, to be a language
model one day. The whole is read at the last word, END, as theirs is. Padding is hidden: a longer row says
the same.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sfumato.nets.blocks import heads_for, zeroed

PADDING = 0


class Words(NamedTuple):
    """What was read of B sentences in rows of L words.

    each: (B, L, W), zero where there is padding; present: (B, L) bool, where there is none; whole: (B, W).
    """

    each: Tensor
    present: Tensor
    whole: Tensor


class Looking(nn.Module):
    """Attention among the words of a sentence, as two plain matrix products: see `nets.blocks`."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.heads = heads_for(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = zeroed(nn.Linear(width, width))

    def forward(self, h: Tensor, present: Tensor) -> Tensor:
        """Map h: (B, L, W) to what each word finds among those that are present, (B, L) bool: (B, L, W)."""
        q, k, v = (
            self.qkv(h).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        )  # (B, heads, L, W/heads)
        seen = present[:, None, None]
        scores = ((q @ k.mT) * q.shape[3] ** -0.5).masked_fill(~seen, torch.finfo(q.dtype).min)
        # A row without any word would share its attention out over the padding.
        weights = scores.softmax(-1) * seen
        return self.out((weights @ v).transpose(1, 2).flatten(2))


class ReadingLayer(nn.Module):
    """Attention and a perceptron of four times the width, around each of which its input passes."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm_look, self.look = nn.LayerNorm(width), Looking(width)
        self.norm_think, self.inner = nn.LayerNorm(width), nn.Linear(width, 4 * width)
        self.outer = zeroed(nn.Linear(4 * width, width))

    def forward(self, h: Tensor, present: Tensor) -> Tensor:
        """Map h: (B, L, W) to the same shape."""
        h = h + self.look(self.norm_look(h), present)
        return h + self.outer(F.gelu(self.inner(self.norm_think(h))))


class TextTransformer(nn.Module):
    """The network: tokens (B, L) int64, 0 for padding and that only at the end -> `Words`.

    vocabulary: how many different tokens; length: the largest L; width: W; layers: how many.
    """

    def __init__(self, vocabulary: int, length: int, width: int = 128, layers: int = 2) -> None:
        super().__init__()
        # Parameters and no `nn.Embedding`: as large as what the layers add to them.
        self.words = nn.Parameter(nn.init.normal_(torch.empty(vocabulary, width), std=0.5))
        self.places = nn.Parameter(nn.init.normal_(torch.empty(length, width), std=0.5))
        self.layers = nn.ModuleList(ReadingLayer(width) for _ in range(layers))
        self.norm = nn.LayerNorm(width)

    def forward(self, tokens: Tensor) -> Words:
        """Read the sentences; one without any token is read as one of padding alone, whatever its length."""
        present = tokens != PADDING
        h = F.embedding(tokens, self.words) + self.places[: tokens.shape[1]]
        for layer in self.layers:
            h = layer(h, present)
        h = self.norm(h)
        last = (present.sum(1) - 1).clamp(min=0)
        whole = h[torch.arange(len(h), device=h.device), last]
        return Words(h * present[..., None], present, whole)

"""Convolutions that look up and left alone: the gated PixelCNN (van den Oord et al. 2016, "Conditional image
generation with PixelCNN decoders").

Two stacks go down the picture. The *vertical* one sees all rows above a place, the *horizontal* one its own
row to the left, and what the vertical one found; so no place before is out of sight, as a masked 3×3 filter's
blind spot would be (their section 2.2). A filter is not masked but shifted: the picture is padded at the top
or the left by as much as the filter reaches, which is the same and wastes no products. Each layer's output is

    tanh(W_f·h + V_f·s)·sigmoid(W_g·h + V_g·s)          s: what the condition says       (their equation 4)

The channels of one place come one after another: the head of each is also shown those before it.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sfumato.condition import Condition
from sfumato.nets.blocks import zeroed
from sfumato.nets.causal.order import Raster, embedded
from sfumato.nets.causal.transformer import Reading
from sfumato.nets.causal.vocabulary import Vocabulary
from sfumato.nets.conditions import Kinds, Told
from sfumato.precision import at_least_float32

REACH = 1
"""Places that a filter reaches up, and to each side."""


def gated(h: Tensor) -> Tensor:
    """Return tanh of the first half of h: (B, 2C, …) times the sigmoid of the second."""
    value, gate = h.chunk(2, 1)
    return torch.tanh(value) * torch.sigmoid(gate)


class GatedLayer(nn.Module):
    """Both stacks, one step further; first: whether a place is still to be kept from itself."""

    def __init__(self, width: int, first: bool) -> None:
        super().__init__()
        # The first layer's left filter ends one place before its own; later ones see what that place holds.
        self.offset = 1 if first else 0
        self.down = nn.Conv2d(width, 2 * width, (REACH + 1, 2 * REACH + 1))
        self.across = nn.Conv2d(width, 2 * width, (1, REACH + 1 - self.offset))
        self.join = nn.Conv2d(2 * width, 2 * width, 1)
        out = nn.Conv2d(width, width, 1)
        self.out = out if first else zeroed(out)
        self.said = zeroed(nn.Linear(width, 4 * width))

    def forward(
        self, above: Tensor, left: Tensor, said: Tensor, mask: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Map what was found above and to the left, (B, W, h, w) each.

        said: what the condition says, (B, W); mask: of dropout, (B, W), if any.
        """
        for_above, for_left = self.said(said)[:, :, None, None].chunk(2, 1)
        found = self.down(F.pad(above, (REACH, REACH, REACH, 0)))
        # What is above a place ends with the row before its own.
        higher = F.pad(found, (0, 0, 1, 0))[:, :, :-1]
        width = left.shape[3]
        beside = self.across(F.pad(left, (REACH, 0, 0, 0)))[:, :, :, :width]
        mixed = gated(beside + self.join(higher) + for_left)
        new = self.out(_masked(mixed, mask))
        return _masked(gated(found + for_above), mask), new if self.offset else left + new


def _masked(h: Tensor, mask: Tensor | None) -> Tensor:
    """Return h: (B, W, h, w) times a mask (B, W), if there is any."""
    return h if mask is None else h * mask.to(h)[:, :, None, None]


class PixelCNN(nn.Module):
    """The network: (tokens (B, L) of int64 in raster order, condition) -> logits (B, L, V).

    order: of the tokens; vocabulary: which they are; width: W; layers: how many; told: its conditions.
    """

    def __init__(self, order: Raster, vocabulary: Vocabulary, width: int, layers: int, told: Kinds) -> None:
        super().__init__()
        self.order = order
        channels = order.channels
        self.table = nn.Parameter(0.3 * vocabulary.tables(channels, width))
        self.start = nn.Parameter(torch.zeros(width))
        self.told = Told(told, width)
        self.layers = nn.ModuleList(GatedLayer(width, number == 0) for number in range(layers))
        self.before = nn.ParameterList(
            torch.zeros(channel, vocabulary.count, width) for channel in range(1, channels)
        )
        self.inner = nn.Linear(width, width)
        self.heads = nn.ModuleList(vocabulary.head(width) for _ in range(channels))

    def forward(self, tokens: Tensor, condition: Condition | None, masks: Tensor | None = None) -> Tensor:
        """Predict every token from those before it."""
        order = self.order
        values = tokens.unflatten(1, (order.rows, order.columns, order.channels))
        seen = [embedded(values[..., channel], table) for channel, table in enumerate(self.table)]
        above = left = torch.stack(seen).sum(0).permute(0, 3, 1, 2)
        said = F.silu(self.told(self.start.expand(len(tokens), -1), condition).whole)
        for number, layer in enumerate(self.layers):
            above, left = layer(above, left, said, None if masks is None else masks[:, number])
        return at_least_float32(self._logits(left.permute(0, 2, 3, 1), values).flatten(1, 3))

    def _logits(self, found: Tensor, values: Tensor) -> Tensor:
        """Return the logits of each channel from what was found, (B, h, w, W): (B, h, w, channels, V)."""
        logits = []
        for channel, head in enumerate(self.heads):
            seen = found
            for before in range(channel):
                seen = seen + embedded(values[..., before], self.before[channel - 1][before])
            logits.append(head(F.gelu(self.inner(F.gelu(seen)))))
        return torch.stack(logits, 3)

    def reading(self, rows: int, condition: Condition | None) -> Reading:
        """Return what predicts group by group; each time the whole picture is gone through again."""
        return lambda tokens, places: self(tokens, condition)[:, places]

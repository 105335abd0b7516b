"""The pieces of the U-Net: a norm over channels, a modulated residual block, attention to pixels and words.

They are chosen for processors: group norm there costs as much as all convolutions together, and fused
attention's backward pass more than two plain matrix products.
"""

from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Words(Protocol):
    """A sentence to look at: each: (B, L, W); present: (B, L) of bool, false where there is padding."""

    @property
    def each(self) -> Tensor:
        """The words, (B, L, W)."""
        ...

    @property
    def present(self) -> Tensor:
        """Where there are any, (B, L) of bool."""
        ...


class ChannelNorm(nn.Module):
    """Layer norm over the channels of each pixel (Ba et al. 2016), with no gain: convolutions follow it.

    On a channels-last picture this is one kernel each way, several times faster on a CPU than a group norm.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Normalise x: (B, C, H, W) over C."""
        return F.layer_norm(x.permute(0, 2, 3, 1), (x.shape[1],)).permute(0, 3, 1, 2)


def zeroed(module: nn.Conv2d | nn.Linear) -> nn.Conv2d | nn.Linear:
    """Start a layer at zero, so that the branch it ends adds nothing before training."""
    nn.init.zeros_(module.weight)
    if module.bias is not None:
        nn.init.zeros_(module.bias)
    return module


class ResidualBlock(nn.Module):
    """Two 3×3 convolutions around which the input passes, scaled and shifted by the embedding.

    (He et al. 2016; modulation as in Dhariwal & Nichol 2021, equation 6.)
    """

    def __init__(self, inputs: int, outputs: int, embedding: int) -> None:
        super().__init__()
        self.norm_in = ChannelNorm()
        self.conv_in = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.modulate = zeroed(nn.Linear(embedding, 2 * outputs))
        self.norm_out = ChannelNorm()
        self.conv_out = zeroed(nn.Conv2d(outputs, outputs, 3, padding=1))
        self.skip = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        """Map x: (B, inputs, H, W), embedding: (B, E) to (B, outputs, H, W)."""
        h = self.conv_in(F.silu(self.norm_in(x)))
        scale, shift = self.modulate(embedding)[:, :, None, None].chunk(2, dim=1)
        h = self.conv_out(F.silu(torch.addcmul(shift, self.norm_out(h), 1 + scale)))
        return self.skip(x) + h


class Attention(nn.Module):
    """Self-attention over the pixels of a small picture, added to its input (Vaswani et al. 2017).

    Written as two matrix products, see the module's note.
    """

    def __init__(self, channels: int, head: int = 32) -> None:
        super().__init__()
        self.heads = heads_for(channels, head)
        self.norm = ChannelNorm()
        self.qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.out = zeroed(nn.Conv2d(channels, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Let every pixel of x: (B, C, H, W) look at every other."""
        batch, channels, height, width = x.shape
        qkv = self.qkv(self.norm(x)).flatten(2).unflatten(1, (3, self.heads, channels // self.heads))
        q, k, v = qkv.unbind(1)  # each (B, heads, C/heads, H·W)
        weights = ((q.transpose(2, 3) @ k) * q.shape[2] ** -0.5).softmax(-1)
        mixed = v @ weights.transpose(2, 3)
        return x + self.out(mixed.reshape(batch, channels, height, width))


def heads_for(channels: int, head: int = 32) -> int:
    """Return the number of heads of about `head` channels each that divides `channels`."""
    most = max(1, channels // head)
    return next(heads for heads in range(most, 0, -1) if channels % heads == 0)


class WordAttention(nn.Module):
    """Every pixel looks at the words of a sentence, and adds what it finds (Rombach et al. 2022, sec. 3.3).

    words: the width of the words. Where a row has no words its pixels find nothing.
    """

    def __init__(self, channels: int, words: int) -> None:
        super().__init__()
        self.heads = heads_for(channels)
        self.norm = ChannelNorm()
        self.ask = nn.Conv2d(channels, channels, 1)
        self.answer = nn.Linear(words, 2 * channels)
        self.out = zeroed(nn.Conv2d(channels, channels, 1))

    def forward(self, x: Tensor, words: Words) -> Tensor:
        """Map x: (B, C, H, W) to the same shape."""
        q = self.ask(self.norm(x)).flatten(2).unflatten(1, (self.heads, -1))  # (B, heads, C/heads, H·W)
        answers = self.answer(words.each).transpose(1, 2).unflatten(1, (2, self.heads, -1))
        k, v = answers.unbind(1)  # each (B, heads, C/heads, L)
        seen = words.present[:, None, None]
        scores = ((q.transpose(2, 3) @ k) * q.shape[2] ** -0.5).masked_fill(~seen, torch.finfo(q.dtype).min)
        weights = scores.softmax(-1) * seen
        found = (v @ weights.transpose(2, 3)).flatten(1, 2).unflatten(2, x.shape[2:])
        return x + self.out(found)

"""The pieces of the U-Net: a norm over channels, a modulated residual block, and plain attention.

They are chosen for processors: group norm there costs as much as all convolutions together, and fused
attention's backward pass more than two plain matrix products.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


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
    """Attention of the pixels of a small picture to each other, and to words, added to its input.

    (Vaswani et al. 2017; words beside the pixels as in Nichol et al. 2022, section 3.) words: the width of
    the words, 0 for none. Written as two matrix products, see the module's note.
    """

    def __init__(self, channels: int, words: int = 0, head: int = 32) -> None:
        super().__init__()
        most = max(1, channels // head)
        self.heads = next(heads for heads in range(most, 0, -1) if channels % heads == 0)
        self.norm = ChannelNorm()
        self.qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.of_words = nn.Linear(words, 2 * channels) if words else None
        self.out = zeroed(nn.Conv2d(channels, channels, 1))

    def forward(self, x: Tensor, words: Tensor | None = None, present: Tensor | None = None) -> Tensor:
        """Let every pixel of x: (B, C, H, W) look at every other, and at the words (B, L, W) present."""
        batch, channels, height, width = x.shape
        qkv = self.qkv(self.norm(x)).flatten(2).unflatten(1, (3, self.heads, channels // self.heads))
        q, k, v = qkv.unbind(1)  # each (B, heads, C/heads, H·W)
        scores = (q.transpose(2, 3) @ k) * q.shape[2] ** -0.5
        if self.of_words is not None and words is not None and present is not None:
            told = self.of_words(words).transpose(1, 2).unflatten(1, (2, self.heads, channels // self.heads))
            k_words, v_words = told.unbind(1)  # each (B, heads, C/heads, L)
            seen = (q.transpose(2, 3) @ k_words) * q.shape[2] ** -0.5
            seen = seen.masked_fill(~present[:, None, None], -torch.inf)
            scores, v = torch.cat([scores, seen], 3), torch.cat([v, v_words], 3)
        mixed = v @ scores.softmax(-1).transpose(2, 3)
        return x + self.out(mixed.reshape(batch, channels, height, width))

"""A transformer over tokens in groups (Vaswani et al. 2017), each layer told what is asked for.

    h = place + shown;    h ← h + attention(a·norm h + b);    h ← h + perceptron(c·norm h + d)
    logits = W·(e·norm h + f)

The scales a, c, e and shifts b, d, f come from the condition (adaptive norm: Peebles & Xie 2023, section 3.2,
as in Tian et al. 2024), and begin at 1 and 0. What a place is shown and may look at is the order's to say,
see `nets.causal.order`, so that one network serves pixels, tokens and scales.
"""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sfumato.condition import Condition
from sfumato.nets.blocks import heads_for, zeroed
from sfumato.nets.causal.attention import Attention, Kept, Masked
from sfumato.nets.causal.order import Order, may_look
from sfumato.nets.causal.vocabulary import Vocabulary
from sfumato.nets.conditions import Kinds, Told
from sfumato.precision import at_least_float32

M = TypeVar("M", bound=nn.Module)

Reading = Callable[[Tensor, slice], Tensor]
"""(tokens (B, L) so far, the places of the next group) -> the logits of their tokens (B, n, V)."""


class CausalNetwork(Protocol):
    """A network that predicts each token from those of earlier groups."""

    layers: nn.ModuleList

    def __call__(self, tokens: Tensor, condition: Condition | None, masks: Tensor | None = None) -> Tensor:
        """Return logits (B, L, V) for all tokens (B, L) at once; masks: of dropout, (B, layers, W)."""
        ...

    def reading(self, rows: int, condition: Condition | None) -> Reading:
        """Return what predicts the tokens of `rows` pictures group by group, asked for each in turn."""
        ...


HEAD = 64
"""Numbers of a place in one head: of long sequences the scores of more heads cost more than all products."""


class Layer(nn.Module):
    """Attention and a perceptron of four times the width, around each of which its input passes."""

    def __init__(self, width: int, head: int) -> None:
        super().__init__()
        self.heads = heads_for(width, head)
        self.modulate = zeroed(nn.Linear(width, 4 * width))
        # Shifts come from the condition: biases would only add to what each step has to sum up.
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.found = zeroed(nn.Linear(width, width, bias=False))
        self.inner = nn.Linear(width, 4 * width, bias=False)
        self.outer = zeroed(nn.Linear(4 * width, width, bias=False))

    def forward(self, h: Tensor, told: Tensor, look: Attention, mask: Tensor | None) -> Tensor:
        """Map h: (B, n, W) to the same shape; told: what `modulate` says, (B, 4·W); mask: (B, W), if any."""
        scale_look, shift_look, scale_think, shift_think = told[:, None].chunk(4, -1)
        qkv = self.qkv(modulated(h, scale_look, shift_look)).unflatten(2, (3, self.heads, -1))
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # (B, heads, n, W/heads)
        h = h + masked(self.found(look(q, k, v).transpose(1, 2).flatten(2)), mask)
        return h + masked(self.outer(F.gelu(self.inner(modulated(h, scale_think, shift_think)))), mask)


def modulated(h: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Return the norm of h: (B, n, W) over W, scaled by 1 + scale and shifted, in their precision.

    Autocast would have norms in float32, of which the next product makes bf16 again: twice the traffic.
    """
    with torch.autocast(h.device.type, enabled=False):
        return torch.addcmul(shift, F.layer_norm(h.to(scale.dtype), h.shape[-1:]), 1 + scale)


def masked(h: Tensor, mask: Tensor | None) -> Tensor:
    """Return h: (B, …, W) times a mask (B, W), if there is any."""
    return h if mask is None else h * mask.to(h)[:, *[None] * (h.ndim - 2)]


@dataclass(frozen=True)
class Products:
    """The part of the network that products are: layers, and what makes logits of what they find."""

    layers: nn.ModuleList
    modulate: nn.Module
    head: nn.Module

    def told(self, said: Tensor) -> list[Tensor]:
        """Return scales and shifts of every layer and of the head, by what a condition says, (B, W)."""
        return [layer.get_submodule("modulate")(said) for layer in self.layers] + [self.modulate(said)]

    def __call__(
        self, h: Tensor, told: Sequence[Tensor], looks: Sequence[Attention], masks: Tensor | None = None
    ) -> Tensor:
        """Return the logits of places h: (B, n, W), (B, n, V), in float32 at least.

        looks: the attention of each layer; masks: of dropout, (B, layers, W).
        """
        *of_layers, of_head = told
        # In the precision of the products from the start, so that no step of the way has to change it.
        h = h.to(of_head.dtype)
        for number, (layer, own, look) in enumerate(zip(self.layers, of_layers, looks, strict=True)):
            h = layer(h, own, look, None if masks is None else masks[:, number])
        scale, shift = of_head[:, None].chunk(2, -1)
        return at_least_float32(self.head(modulated(h, scale, shift)))


def as_multiplied(module: M) -> M:
    """Return `module` with weights in the precision that autocast would convert them to for each product."""
    kind = next(module.parameters()).device.type
    if not torch.is_autocast_enabled(kind):
        return module
    return copy.deepcopy(module).to(torch.get_autocast_dtype(kind))


class CausalTransformer(nn.Module):
    """The network: (tokens (B, L) of int64, condition) -> logits (B, L, V).

    order: of the tokens; vocabulary: which they are; width: W; layers: how many; told: its conditions; head:
    about how many of the W numbers one head of attention has.
    """

    def __init__(
        self, order: Order, vocabulary: Vocabulary, width: int, layers: int, told: Kinds, head: int = HEAD
    ) -> None:
        super().__init__()
        self.order = order
        # Parameters and no `nn.Embedding`: as large as what the layers add to them.
        self.tables = nn.Parameter(vocabulary.tables(order.views, width) * (0.5 / order.views**0.5))
        self.places = nn.ParameterList(
            nn.init.normal_(torch.empty(size, width), std=0.3) for size in order.axes
        )
        self.start = nn.Parameter(torch.zeros(width))
        self.told = Told(told, width)
        self.layers = nn.ModuleList(Layer(width, head) for _ in range(layers))
        self.modulate = zeroed(nn.Linear(width, 2 * width))
        self.head = vocabulary.head(width)

    def forward(self, tokens: Tensor, condition: Condition | None, masks: Tensor | None = None) -> Tensor:
        """Predict every token from those before it."""
        looks = [Masked(may_look(self.order, tokens.device))] * len(self.layers)
        products = Products(self.layers, self.modulate, self.head)
        h = self._shown(tokens, slice(0, tokens.shape[1]))
        return products(h, products.told(self._said(len(tokens), condition)), looks, masks)

    def reading(self, rows: int, condition: Condition | None) -> Reading:
        """Return what predicts group by group, and keeps the keys and values of each.

        What is the same for all groups is worked out once: what the condition says, and weights in the
        precision of products.
        """
        products = Products(
            as_multiplied(self.layers), as_multiplied(self.modulate), as_multiplied(self.head)
        )
        told = products.told(self._said(rows, condition))
        length = sum(self.order.sizes)
        kept = [Kept(length) for _ in self.layers]
        return lambda tokens, places: products(self._shown(tokens, places), told, kept)

    def _said(self, rows: int, condition: Condition | None) -> Tensor:
        """Return what the condition says, (rows, W)."""
        return F.silu(self.told(self.start.expand(rows, -1), condition).whole)

    def _shown(self, tokens: Tensor, places: slice) -> Tensor:
        """Return where `places` are and what they are shown of tokens (B, L): (B, n, W)."""
        at = self.order.coordinates[places].to(tokens.device)
        where = sum(table[at[:, axis]] for axis, table in enumerate(self.places))
        return where + self.order.shown(tokens, self.tables, places)

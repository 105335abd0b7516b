"""A residual multilayer perceptron for vectors, such as points in the plane."""

from torch import Tensor, nn
from torch.nn import functional as F

from sfumato.condition import Condition
from sfumato.nets.blocks import zeroed
from sfumato.nets.conditions import Kinds, Told
from sfumato.nets.embedding import LevelEmbedding


class ResidualLayer(nn.Module):
    """A hidden layer around which its input passes, scaled and shifted by the embedding."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.RMSNorm(width, elementwise_affine=False)
        self.inner = nn.Linear(width, width)
        self.modulate = zeroed(nn.Linear(width, 2 * width))
        self.outer = zeroed(nn.Linear(width, width))

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        """Map x: (B, width), embedding: (B, width) to (B, width)."""
        scale, shift = self.modulate(embedding).chunk(2, dim=1)
        return x + self.outer(F.silu(self.inner(self.norm(x)) * (1 + scale) + shift))


class MLP(nn.Module):
    """The network: (x: (B, D), level: (B,), condition) -> (B, outputs·D).

    dimensions: D; width: of the hidden layers; layers: how many; conditions: what it can be told;
    outputs: numbers put out for each one put in.
    """

    def __init__(
        self,
        dimensions: int,
        width: int = 128,
        layers: int = 4,
        conditions: Kinds | None = None,
        outputs: int = 1,
    ) -> None:
        super().__init__()
        self.level = LevelEmbedding(width)
        self.told = Told(conditions or {}, width)
        self.stem = nn.Linear(dimensions, width)
        self.layers = nn.ModuleList(ResidualLayer(width) for _ in range(layers))
        self.norm = nn.RMSNorm(width, elementwise_affine=False)
        self.head = zeroed(nn.Linear(width, outputs * dimensions))

    def forward(self, x: Tensor, level: Tensor, condition: Condition | None = None) -> Tensor:
        """Return (B, outputs·D)."""
        embedding = F.silu(self.told(self.level(level), condition).whole)
        h = self.stem(x)
        for layer in self.layers:
            h = layer(h, embedding)
        return self.head(F.silu(self.norm(h)))

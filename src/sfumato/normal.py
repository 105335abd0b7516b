"""The one currency of encoders, posteriors, transitions and decoders: a diagonal Gaussian.

    log N(x; m, s) = −½ Σ [ ((x − m)/s)² + 2 log s + log 2π ]
    KL(N(m₁,s₁) ‖ N(m₂,s₂)) = Σ [ log(s₂/s₁) + (s₁² + (m₁ − m₂)²)/(2 s₂²) − ½ ]

Sums run over every axis but the first, so both are in nats per example.
"""

import math
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Normal:
    """A Gaussian with independent entries.

    mean: (B, ...); std: broadcastable to `mean`, non-negative.
    """

    mean: Tensor
    std: Tensor

    def sample(self, z: Tensor) -> Tensor:
        """Return mean + std·z for standard normal `z` of the shape of `mean`."""
        return self.mean + self.std * z

    def log_prob(self, x: Tensor) -> Tensor:
        """Return the log density of `x`: (B, ...) in nats per example: (B,)."""
        std = self.std.expand_as(self.mean)
        terms = ((x - self.mean) / std).square() + 2 * std.log() + math.log(2 * math.pi)
        return -0.5 * terms.flatten(1).sum(1)

    def kl(self, other: "Normal") -> Tensor:
        """Return KL(self ‖ other) in nats per example: (B,); both means have one shape."""
        std, other_std = self.std.expand_as(self.mean), other.std.expand_as(self.mean)
        spread = (std.square() + (self.mean - other.mean).square()) / (2 * other_std.square())
        return ((other_std / std).log() + spread - 0.5).flatten(1).sum(1)

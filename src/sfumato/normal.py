"""The one currency of encoders, posteriors, transitions and decoders: a diagonal Gaussian.

    log N(x; m, s) = −½ Σ [ ((x − m)/s)² + 2 log s + log 2π ]
    H(N(m, s)) = ½ Σ [ log 2π + 2 log s + 1 ]
    H(N(m₁,s₁), N(m₂,s₂)) = −E₁[log N(x; m₂, s₂)] = ½ Σ [ log 2π + 2 log s₂ + (s₁² + (m₁ − m₂)²)/s₂² ]
    KL(N(m₁,s₁) ‖ N(m₂,s₂)) = Σ [ log(s₂/s₁) + (s₁² + (m₁ − m₂)²)/(2 s₂²) − ½ ]

The divergence is the cross entropy less the entropy. Sums run over every axis but the first, so all are in
nats per example.
"""

import math
from dataclasses import dataclass

from torch import Tensor

LOG_2_PI = math.log(2 * math.pi)


def _summed(terms: Tensor) -> Tensor:
    # The axis that is added serves examples of one number, (B,), which have nothing else to sum over.
    return terms.unsqueeze(-1).flatten(1).sum(1)


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
        return -0.5 * _summed(((x - self.mean) / std).square() + 2 * std.log() + LOG_2_PI)

    def entropy(self) -> Tensor:
        """Return the differential entropy −E[log self(x)] in nats per example: (B,)."""
        return 0.5 * _summed(2 * self.std.expand_as(self.mean).log() + LOG_2_PI + 1)

    def cross_entropy(self, other: "Normal") -> Tensor:
        """Return −E[log other(x)] over x ~ self in nats per example: (B,); both means have one shape."""
        std, other_std = self.std.expand_as(self.mean), other.std.expand_as(self.mean)
        spread = (std.square() + (self.mean - other.mean).square()) / other_std.square()
        return 0.5 * _summed(spread + 2 * other_std.log() + LOG_2_PI)

    def kl(self, other: "Normal") -> Tensor:
        """Return KL(self ‖ other) in nats per example: (B,); both means have one shape."""
        std, other_std = self.std.expand_as(self.mean), other.std.expand_as(self.mean)
        spread = (std.square() + (self.mean - other.mean).square()) / (2 * other_std.square())
        return _summed((other_std / std).log() + spread - 0.5)

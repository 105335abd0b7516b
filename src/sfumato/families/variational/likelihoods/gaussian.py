"""Numbers with an error: p(x | z) = Π N(x; m, s²), with s as it is set or as it is learned.

log p = −½ Σ [ ((x − m)/s)² + 2 log s + log 2π ]      (Kingma & Welling 2014, appendix C.2)
"""

import math
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from sfumato.errors import ConfigError
from sfumato.families.agreements import DataFacts
from sfumato.families.variational.likelihoods.base import LEVEL, halves, normal_like
from sfumato.normal import Normal
from sfumato.precision import at_least_float32
from sfumato.randomness import Noise

LEAST_STD = LEVEL / 2
"""A narrower Gaussian would say more of a picture than its bytes hold."""


@dataclass(frozen=True)
class FixedGaussian:
    """N(m, std²) for every value: log_prob is minus the squared error over 2·std², and a constant.

    std: above 0, as the model sees the data.
    """

    std: float = 0.1
    outputs: ClassVar[int] = 1

    def __post_init__(self) -> None:
        if not 0 < self.std < math.inf:
            raise ConfigError(f"a decoder's std must be above 0, not {self.std}")

    def check(self, facts: DataFacts) -> None:
        """Accept all data."""

    def log_prob(self, output: Tensor, x: Tensor) -> Tensor:
        """Return Σ log N(x; m, std²): (B,)."""
        return self._normal(output).log_prob(x)

    def mean(self, output: Tensor) -> Tensor:
        """Return m."""
        return at_least_float32(output)

    def sample(self, output: Tensor, noise: Noise) -> Tensor:
        """Draw from N(m, std²)."""
        return self._normal(output).sample(normal_like(self.mean(output), noise))

    def _normal(self, output: Tensor) -> Normal:
        mean = at_least_float32(output)
        return Normal(mean, mean.new_tensor(self.std))


@dataclass(frozen=True)
class Gaussian:
    """N(m, s²) with one learned s for all values of an example (Rybkin et al. 2021, "sigma-VAE").

    log s is the mean of the output's second half, and s is at least half a level of a byte.
    """

    outputs: ClassVar[int] = 2

    def check(self, facts: DataFacts) -> None:
        """Accept all data."""

    def log_prob(self, output: Tensor, x: Tensor) -> Tensor:
        """Return Σ log N(x; m, s²): (B,)."""
        return self._normal(output).log_prob(x)

    def mean(self, output: Tensor) -> Tensor:
        """Return m."""
        return halves(output)[0]

    def sample(self, output: Tensor, noise: Noise) -> Tensor:
        """Draw from N(m, s²)."""
        return self._normal(output).sample(normal_like(self.mean(output), noise))

    def _normal(self, output: Tensor) -> Normal:
        mean, log_std = halves(output)
        shared = log_std.mean(tuple(range(1, log_std.ndim)), keepdim=True)
        return Normal(mean, shared.clamp(min=math.log(LEAST_STD)).exp())

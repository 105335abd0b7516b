"""How wide the reverse step is, and whether the network has a say in it.

    p(x_s | x_t) = N( mean of q(x_s | x_t, x̂0),  std² I )

The best std lies between two that are known (Ho et al. 2020, section 3.2): the posterior's own, beta-tilde,
is right if the data is one point, and the transition's, beta, is right if the data is unit noise. A network
may choose between them in each entry, in the logarithm (Nichol & Dhariwal 2021, equation 15):

    log std² = v·log beta + (1 − v)·log beta-tilde
"""

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from sfumato.diffusion.level import expand
from sfumato.errors import ConfigError


class Variance(Protocol):
    """The standard deviation of the reverse step, and how many outputs of a network it takes."""

    @property
    def outputs(self) -> int:
        """How many numbers an entry of x_t the network puts out: 1, or 2 with a variance of its own."""
        ...

    def split(self, output: Tensor) -> tuple[Tensor, Tensor | None]:
        """Part an output: (B, outputs·C, ...) into the prediction: (B, C, ...) and v of the same shape."""
        ...

    def std(self, small: Tensor, large: Tensor, fraction: Tensor | None) -> Tensor:
        """Return the deviation; small, large: () or (B,), above 0; fraction: v, (B, C, ...)."""
        ...


class _Fixed:
    """What the two known variances share: the network predicts, and nothing else."""

    outputs = 1

    def split(self, output: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the output itself, and no v."""
        return output, None


@dataclass(frozen=True)
class FixedSmall(_Fixed):
    """The posterior's own variance, beta-tilde: DDPM's "fixed small"."""

    def std(self, small: Tensor, large: Tensor, fraction: Tensor | None) -> Tensor:
        """Return `small`."""
        return small


@dataclass(frozen=True)
class FixedLarge(_Fixed):
    """The transition's variance, beta: DDPM's "fixed large", and lecture A's reverse sampler."""

    def std(self, small: Tensor, large: Tensor, fraction: Tensor | None) -> Tensor:
        """Return `large`."""
        return large


@dataclass(frozen=True)
class LearnedRange:
    """The network's own choice between the two, entry by entry."""

    outputs = 2

    def split(self, output: Tensor) -> tuple[Tensor, Tensor | None]:
        """Halve the channels: the first half predicts, the second is 2v − 1, so that 0 is the middle."""
        prediction, spread = output.chunk(2, dim=1)
        return prediction, (spread + 1) / 2

    def std(self, small: Tensor, large: Tensor, fraction: Tensor | None) -> Tensor:
        """Return small^(1 − v)·large^v, by logarithms; raise ConfigError where there is no v."""
        if fraction is None:
            raise ConfigError(
                "this model has not learned a variance: sample it with 'ancestral' or 'ancestral-large', or "
                "train the recipe 'hybrid' or 'bound'."
            )
        log_small, log_large = expand(small.log(), fraction), expand(large.log(), fraction)
        return (log_small + fraction * (log_large - log_small)).exp()

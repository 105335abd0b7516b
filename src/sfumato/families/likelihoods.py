"""What a decoder's numbers say about an example: p(x | z) as a piece.

A decoder puts out `outputs` numbers for each value of the data; the likelihood reads them as the parameters
of independent distributions and sums over all values, so that log_prob is in nats per example:

    Bernoulli      log p = Σ [ y·log σ(l) + (1 − y)·log σ(−l) ],   y = (x + 1)/2
    Gaussian       log p = Σ log N(x; m, s²)
    Logistic       log p = Σ log [ σ((x + w/2 − m)/s) − σ((x − w/2 − m)/s) ],   w = 2/255

(Kingma & Welling 2014, appendix C; Salimans et al. 2017, "PixelCNN++", equation 2.) The logistic's outermost
bins reach to infinity, so that the 256 levels of a byte share the whole mass. A mean instead of the sum would
divide the likelihood by the number of pixels, and so multiply the weight of the divergence beside it.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import ClassVar, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from sfumato.errors import ConfigError, unknown
from sfumato.families.agreements import DataFacts
from sfumato.normal import Normal
from sfumato.randomness import Noise

LEVEL = 2 / 255
"""The width of a byte's bin, for pictures scaled to [−1, 1]."""
LEAST_STD = LEVEL / 2
"""A narrower Gaussian would say more of a picture than its bytes hold."""
LEAST_LOG_SCALE = -7.0


class Likelihood(Protocol):
    """p(x | z), given what the decoder made of z.

    All methods read `output`: (B, outputs·C, H, W) for x: (B, C, H, W), or (B, outputs·D) for (B, D).
    """

    @property
    def outputs(self) -> int:
        """How many numbers the decoder puts out for each value of the data."""
        ...

    def check(self, facts: DataFacts) -> None:
        """Raise ConfigError where the data is none that this describes."""
        ...

    def log_prob(self, output: Tensor, x: Tensor) -> Tensor:
        """Return log p(x | z) in nats per example: (B,)."""
        ...

    def mean(self, output: Tensor) -> Tensor:
        """Return E[x | z] as the model sees data: (B, ...)."""
        ...

    def sample(self, output: Tensor, noise: Noise) -> Tensor:
        """Draw x from p(x | z): (B, ...)."""
        ...


def _wide(output: Tensor) -> Tensor:
    """Bring a network's output to at least float32: sums over pixels need the digits."""
    return output.to(torch.promote_types(output.dtype, torch.float32))


def _halves(output: Tensor) -> tuple[Tensor, Tensor]:
    first, second = _wide(output).chunk(2, dim=1)
    return first, second


def _normal_like(x: Tensor, noise: Noise) -> Tensor:
    return noise.normal(x.shape).to(x)


def _uniform_like(x: Tensor, noise: Noise) -> Tensor:
    """Draw uniform numbers strictly between 0 and 1 in the shape of x."""
    edge = torch.finfo(torch.float32).eps / 2
    return torch.special.ndtr(_normal_like(x, noise)).clamp(edge, 1 - edge)


@dataclass(frozen=True)
class Bernoulli:
    """Black or white: each value is 1 with probability σ(l), else −1.

    A grey value is read as the probability of white. Then log_prob is the mean over pictures drawn by these
    probabilities, and a normalised likelihood of black and white pictures only.
    """

    outputs: ClassVar[int] = 1

    def check(self, facts: DataFacts) -> None:
        """Refuse all but grey pictures."""
        if len(facts.shape) != 3 or facts.shape[0] != 1 or facts.bounds != (-1.0, 1.0):
            raise ConfigError(
                f"a Bernoulli decoder is for black and white: choose decoder gaussian{_or_logistic(facts)} "
                f"for examples of shape {facts.shape}."
            )

    def log_prob(self, output: Tensor, x: Tensor) -> Tensor:
        """Return Σ y·log σ(l) + (1 − y)·log σ(−l): (B,)."""
        logits = _wide(output)
        white = (x.to(logits) + 1) / 2
        return -F.binary_cross_entropy_with_logits(logits, white, reduction="none").flatten(1).sum(1)

    def mean(self, output: Tensor) -> Tensor:
        """Return 2·σ(l) − 1."""
        return torch.tanh(_wide(output) / 2)

    def sample(self, output: Tensor, noise: Noise) -> Tensor:
        """Draw black (−1) or white (1)."""
        probability = torch.sigmoid(_wide(output))
        return 2 * (_uniform_like(probability, noise) < probability).to(probability) - 1


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
        return _wide(output)

    def sample(self, output: Tensor, noise: Noise) -> Tensor:
        """Draw from N(m, std²)."""
        return self._normal(output).sample(_normal_like(self.mean(output), noise))

    def _normal(self, output: Tensor) -> Normal:
        mean = _wide(output)
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
        return _halves(output)[0]

    def sample(self, output: Tensor, noise: Noise) -> Tensor:
        """Draw from N(m, s²)."""
        return self._normal(output).sample(_normal_like(self.mean(output), noise))

    def _normal(self, output: Tensor) -> Normal:
        mean, log_std = _halves(output)
        shared = log_std.mean(tuple(range(1, log_std.ndim)), keepdim=True)
        return Normal(mean, shared.clamp(min=math.log(LEAST_STD)).exp())


@dataclass(frozen=True)
class DiscretisedLogistic:
    """The mass of a logistic distribution in the bin of each byte, for pictures in [−1, 1]."""

    outputs: ClassVar[int] = 2

    def check(self, facts: DataFacts) -> None:
        """Refuse data that is no picture."""
        if facts.bounds != (-1.0, 1.0):
            raise ConfigError("a logistic decoder is for pictures of bytes: choose decoder gaussian.")

    def log_prob(self, output: Tensor, x: Tensor) -> Tensor:
        """Return the log of the bins' masses, summed: (B,).

        With a, b = (x ± w/2 − m)/s the mass is σ(a)·σ(−b)·(1 − exp(b − a)): three factors of full precision
        in both tails, of which open bins lack those of their open end.
        """
        location, scale = self._parameters(output)
        x = x.to(location)
        above, below = (x + LEVEL / 2 - location) / scale, (x - LEVEL / 2 - location) / scale
        lowest, highest = x < -1 + LEVEL / 2, x > 1 - LEVEL / 2
        zero = torch.zeros_like(x)
        inner = torch.log(-torch.expm1(-LEVEL / scale))
        log_p = (
            torch.where(highest, zero, F.logsigmoid(above))
            + torch.where(lowest, zero, F.logsigmoid(-below))
            + torch.where(lowest | highest, zero, inner)
        )
        return log_p.flatten(1).sum(1)

    def mean(self, output: Tensor) -> Tensor:
        """Return the mean of the logistic clipped to [−1, 1], within half a level of the bins' own.

        It is −1 + ∫ σ((m − x)/s) dx over [−1, 1].
        """
        location, scale = self._parameters(output)
        low, high = F.softplus((location + 1) / scale), F.softplus((location - 1) / scale)
        return (scale * (low - high) - 1).clamp(-1, 1)

    def sample(self, output: Tensor, noise: Noise) -> Tensor:
        """Draw one of the 256 levels for each value."""
        location, scale = self._parameters(output)
        drawn = location + scale * torch.logit(_uniform_like(location, noise))
        return ((drawn.clamp(-1, 1) + 1) / LEVEL).round() * LEVEL - 1

    def _parameters(self, output: Tensor) -> tuple[Tensor, Tensor]:
        location, log_scale = _halves(output)
        return location, log_scale.clamp(min=LEAST_LOG_SCALE).exp()


LIKELIHOODS: dict[str, type[Likelihood]] = {
    "bernoulli": Bernoulli,
    "gaussian": Gaussian,
    "fixed-gaussian": FixedGaussian,
    "logistic": DiscretisedLogistic,
}
"""What a configuration may call a decoder."""


def likelihood(name: str, options: Mapping[str, float] = {}) -> Likelihood:
    """Return the likelihood called `name`; raise ConfigError for another name or an option it has not."""
    if name not in LIKELIHOODS:
        raise unknown("decoder", name, LIKELIHOODS)
    kind = LIKELIHOODS[name]
    for option in options:
        if option not in {field.name for field in fields(kind)}:  # type: ignore[arg-type]  # all are dataclasses
            raise ConfigError(f"decoder '{name}' has no option {option}: leave it out.")
    return kind(**options)


def _or_logistic(facts: DataFacts) -> str:
    return " or logistic" if facts.bounds == (-1.0, 1.0) else ""

"""Black and white: p(x | z) = Π y^p·(1 − y)^(1 − p) with p = σ(l) and y = (x + 1)/2.

log p = Σ [ y·log σ(l) + (1 − y)·log σ(−l) ]      (Kingma & Welling 2014, appendix C.1)
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from sfumato.errors import ConfigError
from sfumato.families.agreements import DataFacts
from sfumato.families.variational.likelihoods.base import uniform_like
from sfumato.precision import at_least_float32
from sfumato.randomness import Noise


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
                f"a Bernoulli decoder is for black and white: choose decoder gaussian "
                f"for examples of shape {facts.shape}."
            )

    def log_prob(self, output: Tensor, x: Tensor) -> Tensor:
        """Return Σ y·log σ(l) + (1 − y)·log σ(−l): (B,)."""
        logits = at_least_float32(output)
        white = (x.to(logits) + 1) / 2
        return -F.binary_cross_entropy_with_logits(logits, white, reduction="none").flatten(1).sum(1)

    def mean(self, output: Tensor) -> Tensor:
        """Return 2·σ(l) − 1."""
        return torch.tanh(at_least_float32(output) / 2)

    def sample(self, output: Tensor, noise: Noise) -> Tensor:
        """Draw black (−1) or white (1)."""
        probability = torch.sigmoid(at_least_float32(output))
        return 2 * (uniform_like(probability, noise) < probability).to(probability) - 1

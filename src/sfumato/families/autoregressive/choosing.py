"""How a token is chosen from what a model expects.

    p(k) ∝ exp(logit_k / temperature),     token = the first k at which p(1) + … + p(k) exceeds u

of the tokens that are left: the `top_k` most probable (Fan et al. 2018, "Hierarchical neural story
generation", section 5.1), and of those the fewest that hold `top_p` of the probability (Holtzman et al. 2020,
"The curious case of neural text degeneration", section 3.1). One uniform number u chooses one token, so a
picture's own noise makes it again, whatever else is in its batch. Guidance acts on the logits, which are log
probabilities up to a constant (Ho & Salimans 2022, equation 6, for tokens):

    logit = logit without + guidance·(logit with − logit without)
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from sfumato.errors import ConfigError


@dataclass(frozen=True)
class Choice:
    """How tokens are chosen.

    temperature: below 1 for what is more expected, 0 for the most probable token alone; top_k: how many
    tokens are left, 0 for all; top_p: the share of probability that is left, 1 for all; guidance: 1 is none.
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    guidance: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.temperature < math.inf:
            raise ConfigError(
                f"temperature must be at least 0, and 1 changes nothing, not {self.temperature}"
            )
        if self.top_k < 0:
            raise ConfigError(f"top_k is how many tokens are left, 0 for all, not {self.top_k}")
        if not 0 < self.top_p <= 1:
            raise ConfigError(f"top_p is a share of probability above 0 and up to 1, not {self.top_p}")
        if not 0 <= self.guidance < math.inf:
            raise ConfigError(f"guidance must be at least 0, 1 for none, not {self.guidance}")


def probabilities(logits: Tensor, choice: Choice) -> Tensor:
    """Return the probabilities (…, V), float32, with which tokens are chosen by logits (…, V)."""
    if choice.temperature == 0:
        return torch.nn.functional.one_hot(logits.argmax(-1), logits.shape[-1]).float()
    # From the greatest down, so that no temperature takes them out of range.
    scaled = (logits.float() - logits.amax(-1, keepdim=True)).div_(choice.temperature)
    if 0 < choice.top_k < logits.shape[-1]:
        most = scaled.topk(choice.top_k)
        scaled = torch.full_like(scaled, -math.inf).scatter(-1, most.indices, most.values)
    p = scaled.softmax(-1)
    return p if choice.top_p == 1 else _nucleus(p, choice.top_p)


def _nucleus(p: Tensor, share: float) -> Tensor:
    """Return p (…, V) of the fewest tokens that hold `share` of it, and 0 of others, summing to 1."""
    falling, order = p.sort(-1, descending=True)
    before = falling.cumsum(-1) - falling
    left = torch.zeros_like(p).scatter(-1, order, falling * (before < share))
    return left / left.sum(-1, keepdim=True)


def chosen(p: Tensor, uniform: Tensor) -> Tensor:
    """Return the tokens that numbers in [0, 1), (…), choose by probabilities (…, V): int64 (…)."""
    cumulative = p.cumsum(-1, dtype=exact_dtype(p.device))
    whole = cumulative[..., -1:].contiguous()
    passed = torch.searchsorted(cumulative, uniform.to(whole)[..., None] * whole, right=True)
    # Products are rounded, at worst up to the whole: the token that completes it takes the rest. Of numbers
    # that are none nothing completes anything, and the last token stands for it.
    last = torch.searchsorted(cumulative, whole).clamp(max=p.shape[-1] - 1)
    return torch.minimum(passed, last).squeeze(-1)


def exact_dtype(device: torch.device) -> torch.dtype:
    """Return in what sums of probabilities are kept: float64, where a device has it (Apple's has not)."""
    return torch.float32 if device.type == "mps" else torch.float64

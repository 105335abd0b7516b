"""A classifier of noisy examples, trained to lead a diffusion model to a class.

    minimise  E over (x0, c), t, eps of  −log p(c | x_t),   x_t = alpha_t·x0 + sigma_t·eps

(Dhariwal & Nichol 2021, section 4.2.) It shares the model's schedule, its training times and what a network
is shown of x_t, so that it knows the levels at which it will be asked.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sfumato.condition import Condition
from sfumato.diffusion.process import corrupt
from sfumato.diffusion.schedules import Schedule
from sfumato.diffusion.times import TimeDensity
from sfumato.diffusion.view import View
from sfumato.errors import ConfigError
from sfumato.families.agreements import Batch, Draws, Player

PLAYER = "classifier"


@dataclass(frozen=True)
class NoisyClassifier:
    """A network of K classes and what it is asked about.

    module: what is trained; network: (what it is shown: (B, ...), level: (B,)) -> logits (B, K), through the
    module itself or a compiled or averaged form of it; schedule, view, times: the diffusion model's own.
    """

    module: nn.Module
    network: Callable[..., Tensor]
    schedule: Schedule
    view: View
    times: TimeDensity

    def players(self) -> tuple[Player, ...]:
        """Return the one player, the classifier."""
        return (Player(PLAYER, self.module, self.loss),)

    def draw(self, rows: int, shape: tuple[int, ...], generator: torch.Generator) -> Draws:
        """Draw times and noises."""
        t = self.times.draw(rows, self.schedule, generator)
        return {"t": t, "eps": torch.randn(rows, *shape, generator=generator)}

    def loss(self, batch: Batch, draws: Draws) -> Tensor:
        """Return the cross entropy of each example's label in nats: (B,); refuse a batch without labels."""
        if batch.condition is None:
            raise ConfigError("a classifier needs labels: this data has none.")
        x_t = corrupt(self.schedule, batch.examples, draws["eps"], draws["t"])
        return -self.log_prob(x_t, draws["t"], batch.condition)

    def logits(self, x_t: Tensor, t: Tensor) -> Tensor:
        """Return the logits of `x_t`: (B, ...) at `t`: () or (B,) as float32: (B, K)."""
        shown, level = self.view.show(x_t, self.schedule.level(t))
        return self.network(shown, level).float()

    def log_prob(self, x_t: Tensor, t: Tensor, condition: Condition) -> Tensor:
        """Return log p(label | x_t) in nats: (B,), 0 for rows whose label is dropped."""
        negative = F.cross_entropy(self.logits(x_t, t), condition.values["label"], reduction="none")
        return torch.where(condition.dropped["label"], torch.zeros_like(negative), -negative)

    def with_modules(self, modules: Mapping[str, Callable[..., Tensor]]) -> "NoisyClassifier":
        """Return the same classifier with another form of its network."""
        return replace(self, network=modules[PLAYER])

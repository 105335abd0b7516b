"""Classifier guidance: a classifier of noisy pictures says which way the class lies.

By Bayes' rule ∇ log q(x_t | c) = ∇ log q(x_t) + ∇ log p(c | x_t), and the score is −eps/sigma, so

    eps′ = eps − w·sigma·∇ log p(c | x_t)            (Dhariwal & Nichol 2021, algorithm 2)
    x0′  = x0 + w·sigma²/alpha·∇ log p(c | x_t)      (the same, for x_t = alpha·x0 + sigma·eps)

w = 0 is the wrapped model, w = 1 Bayes' rule, w > 1 sharpens the classifier. Where alpha goes to 0 so does
the gradient, and x0′ has a limit, the class's mean: see `guidance.gradients` for what is done there.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from sfumato.condition import Condition
from sfumato.diffusion.correction import with_x0
from sfumato.diffusion.denoiser import Denoiser
from sfumato.diffusion.guidance.gradients import differentiable, with_signal
from sfumato.diffusion.guidance.interval import ALWAYS, Intermittent, Interval
from sfumato.diffusion.level import expand
from sfumato.diffusion.prediction import Estimate
from sfumato.diffusion.remembering import level_at

LogProb = Callable[[Tensor, Tensor, Condition], Tensor]
"""A classifier: (x_t: (B, ...), t: () or (B,), condition) -> log p(c | x_t) in nats: (B,), row by row."""


@dataclass(frozen=True)
class ClassifierGuided(Intermittent):
    """A denoiser led by a classifier of noisy samples, within an interval of times.

    classifier: differentiable by x_t; weight: w; interval: (from, to) in time, outside it the denoiser
    stands alone. A row whose condition is dropped is the classifier's affair: it should return a constant.
    """

    denoiser: Denoiser
    classifier: LogProb
    weight: float
    interval: Interval = ALWAYS

    def _acts(self, t: float, condition: Condition | None) -> bool:
        return condition is not None and self.weight != 0 and self.within(t)

    def estimate(self, x_t: Tensor, t: Tensor, condition: Condition | None = None) -> Estimate:
        """Move the wrapped denoiser's estimate; `t` must be one time for the whole batch."""
        estimate = self.denoiser.estimate(x_t, t, condition)
        if condition is None or not self._acts(float(t), condition):
            return estimate
        asked = with_signal(self.schedule, t)
        level = self.schedule.level(asked)
        scale = expand(self.weight * level.sigma.square() / level.alpha, x_t)
        x0 = estimate.x0 + scale * self._gradient(x_t, asked, condition)
        return with_x0(estimate, x0, level_at(self.schedule, t))

    def _gradient(self, x_t: Tensor, t: Tensor, condition: Condition) -> Tensor:
        """Return ∇ log p(c | x_t): (B, ...); rows do not see each other, so a sum has every row's own."""
        with differentiable(x_t) as (x, kept):
            total = self.classifier(x, t, condition).sum()
            (gradient,) = torch.autograd.grad(total, x, create_graph=kept)
        return gradient

    def evaluations(self, t: float, condition: Condition | None = None) -> int:
        """Return the wrapped denoiser's count, and the classifier's two passes where it acts."""
        return self.denoiser.evaluations(t, condition) + 2 * self._acts(t, condition)

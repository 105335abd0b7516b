"""Score identity distillation: a diffusion model turned into a generator of one or a few steps.

The student G is the teacher's own network, asked at pure noise. Its samples x = G(z) should be spread as the
teacher's data are. How far apart both are, noised to any level, is the Fisher divergence

    F = E over z, t, eps of  ‖D_teacher(x_t, t) − D*(x_t, t)‖²,   x_t = alpha·x + sigma·eps,

with scores written as estimates D of x0, and D* the right one for the student's samples. D* is known by a
critic alone, a third copy that is trained by the denoising loss on the student's samples, at twice its pace,
so that it keeps knowing them. To lower F with the critic in its place would leave out how D* follows the
student. As E[x | x_t] = D*(x_t, t), F is E of (D_teacher − D*)ᵀ·(D_teacher − x) as well, whose gradient with
a critic in its place errs in another way, and to lower the second form less the first did best:

    L = E of  (D_teacher − D_critic)ᵀ·(D_critic − x) / ‖x − D_teacher‖₁,

with gradients through all of it to x (Zhou et al. 2024, "Score identity distillation", algorithm 1 with its
alpha = 1; ‖·‖₁ is the mean over a picture, and a mere weight). Without those through both networks its
gradient would be D_critic − D_teacher, distribution matching's (Yin et al. 2024), whose steps take less time
and get less far in it (docs/speed.md). The expectation of L itself is 0 where the critic is right, so what
the loss returns has L's gradient and the value of F, with the critic's estimate and the same weight.

What is told of each example is as vague as in the teacher's training, so that a person may speak of one
attribute of many to the student too; but no condition is ever hidden, as guidance is part of the teacher.

With several steps the student is asked at each of them, on its own samples noised again, as sampling will.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from sfumato.condition import Condition
from sfumato.diffusion.guidance import OFF
from sfumato.diffusion.guidance.classifier_free import extrapolate
from sfumato.diffusion.level import as_time, expand
from sfumato.diffusion.objective import Objective
from sfumato.diffusion.process import corrupt
from sfumato.families.agreements import Batch, Draws, Player
from sfumato.families.diffusion import PLAYER, Diffusion

CRITIC = "critic"
CRITIC_PACE = 2.0
"""The critic's learning rate over the student's: it must follow what the student does."""
CRITIC_FLOOR = 0.2
"""The share of its peak that it keeps, so as to follow to the end, when the student's own has fallen to 0."""
LEAST_DISTANCE = 0.01
"""Keeps the gradient finite where the teacher already agrees."""


@dataclass(frozen=True)
class Distillation:
    """A student, its critic and their teacher, all of one shape.

    teacher: is not trained; objective: what trains the critic; at: the times at which the student is asked,
    falling from 1; guidance: the weight of the teacher's classifier-free guidance.
    """

    student: Diffusion
    critic: Diffusion
    teacher: Diffusion
    objective: Objective
    at: tuple[float, ...] = (1.0,)
    guidance: float = OFF

    def players(self) -> tuple[Player, ...]:
        """Return the student and the critic, in this order."""
        return (
            # The critic knows the samples of the weights as they are: of none of their averages does a lower
            # loss say that it is better.
            Player(PLAYER, self.student.module, self.student_loss, compared=False),
            Player(
                CRITIC,
                self.critic.module,
                self.critic_loss,
                pace=CRITIC_PACE,
                floor=CRITIC_FLOOR,
                sampled=False,
                compared=False,
            ),
        )

    def with_modules(self, modules: Mapping[str, Callable[..., Tensor]]) -> "Distillation":
        """Return the same game with other forms of the networks that are trained, of those that are named."""
        of_critic = {PLAYER: modules[CRITIC]} if CRITIC in modules else {}
        return replace(
            self, student=self.student.with_modules(modules), critic=self.critic.with_modules(of_critic)
        )

    def draw(self, rows: int, shape: tuple[int, ...], generator: torch.Generator) -> Draws:
        """Draw the noise of every step, the step each row is asked at, and noise and times of both losses."""
        stages = {
            f"z{stage}": torch.randn(rows, *shape, generator=generator) for stage in range(len(self.at))
        }
        losses = {
            f"{of}.{name}": value
            for of in (PLAYER, CRITIC)
            for name, value in self.teacher.draw(rows, shape, generator).items()
        }
        # A permutation: the stratified times of one loss must not go with rows of the other in their order.
        order = torch.randperm(rows, generator=generator)
        return {
            **stages,
            **losses,
            f"{CRITIC}.t": losses[f"{CRITIC}.t"][order],
            "stage": torch.randint(len(self.at), (rows,), generator=generator),
        }

    def student_loss(self, batch: Batch, draws: Draws) -> Tensor:
        """Return how far each sample's estimates are apart, F, with the gradient of L: (B,)."""
        told, t = self._told(PLAYER, batch.condition, draws), draws[f"{PLAYER}.t"]
        x = self.generate(told, draws)
        x_t = corrupt(self.teacher.denoiser.schedule, x, draws[f"{PLAYER}.eps"], t)
        real, own = self._real(x_t, t, told), self.critic.denoiser.estimate(x_t, t, told).x0
        distance = (x - real).detach().abs().flatten(1).mean(1).clamp(min=LEAST_DISTANCE)
        loss = ((real - own) * (own - x)).flatten(1).mean(1) / distance
        apart = (real - own).detach().square().flatten(1).mean(1) / distance
        return apart + loss - loss.detach()

    def critic_loss(self, batch: Batch, draws: Draws) -> Tensor:
        """Return the denoising loss of each of the student's samples: (B,)."""
        told = self._told(CRITIC, batch.condition, draws)
        with torch.no_grad():
            x = self.generate(told, draws)
        t, eps = draws[f"{CRITIC}.t"], draws[f"{CRITIC}.eps"]
        return self.objective(self.critic.denoiser, x, eps, t, told)

    def _told(self, player: str, condition: Condition | None, draws: Draws) -> Condition | None:
        """Return the condition as the teacher was trained with it: attributes left open, pictures noisy."""
        prefix = f"{player}."
        own = {name.removeprefix(prefix): value for name, value in draws.items() if name.startswith(prefix)}
        return self.teacher.conditioning(condition, own)

    def generate(self, condition: Condition | None, draws: Draws) -> Tensor:
        """Return what the student makes of the noise at each row's own step: (B, ...)."""
        denoiser = self.student.denoiser
        x_t = draws["z0"] * denoiser.schedule.prior_std
        t = as_time(self.at[0], x_t.device).repeat(len(x_t))
        for stage, time in enumerate(self.at[1:], start=1):
            with torch.no_grad():
                x0 = denoiser.estimate(x_t, t, condition).x0
            later = draws["stage"] >= stage
            t = torch.where(later, torch.full_like(t, time), t)
            x_t = torch.where(
                expand(later, x_t) > 0, corrupt(denoiser.schedule, x0, draws[f"z{stage}"], t), x_t
            )
        return denoiser.estimate(x_t, t, condition).x0

    def _real(self, x_t: Tensor, t: Tensor, condition: Condition | None) -> Tensor:
        """Return the teacher's guided estimate of x0: (B, ...)."""
        denoiser = self.teacher.denoiser
        asked = denoiser.estimate(x_t, t, condition)
        if condition is None or self.guidance == OFF:
            return asked.x0
        return extrapolate(denoiser.estimate(x_t, t, condition.drop_all()), asked, self.guidance).x0

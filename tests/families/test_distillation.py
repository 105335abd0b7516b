"""Score identity distillation: its gradient is in closed form, and it stands still where both agree."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from sfumato.condition import Condition
from sfumato.diffusion.denoiser import NetworkDenoiser
from sfumato.diffusion.objective import DenoisingLoss
from sfumato.diffusion.prediction import Data
from sfumato.diffusion.schedules import CosineVP
from sfumato.diffusion.times import Uniform
from sfumato.diffusion.weighting import InData
from sfumato.families.agreements import Batch
from sfumato.families.conditioning import Conditioning
from sfumato.families.diffusion import Diffusion
from sfumato.families.distillation import LEAST_DISTANCE, Distillation

ROWS = 20_000
SCHEDULE = CosineVP()


class Gaussian(nn.Module):
    """The exact estimate of x0 for data N(mean, std²), given the level as ¼·log(sigma/alpha)."""

    def __init__(self, mean: float, std: float) -> None:
        super().__init__()
        self.mean = nn.Parameter(torch.tensor(mean, dtype=torch.float64))
        self.std = std

    def forward(self, x: Tensor, level: Tensor, condition: Condition | None) -> Tensor:
        """Return E[x0 | x_t] from x_t at unit variance: (B, 1)."""
        ratio = (4 * level).exp()[:, None].double()
        alpha, sigma = 1 / (1 + ratio**2).sqrt(), ratio / (1 + ratio**2).sqrt()
        total = (alpha * self.std) ** 2 + sigma**2
        x_t = x * (alpha**2 + sigma**2).sqrt()
        return self.mean + alpha * self.std**2 / total * (x_t - alpha * self.mean)


class Affine(nn.Module):
    """A generator of N(shift, scale²): the noise itself, moved and stretched."""

    def __init__(self, shift: float, scale: float = 1.0) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.tensor(shift, dtype=torch.float64))
        self.scale = nn.Parameter(torch.tensor(scale, dtype=torch.float64))

    def forward(self, x: Tensor, level: Tensor, condition: Condition | None) -> Tensor:
        """Return scale·x + shift."""
        return self.scale * x + self.shift


def _family(network: nn.Module) -> Diffusion:
    denoiser = NetworkDenoiser(network, SCHEDULE, Data())
    return Diffusion(network, denoiser, DenoisingLoss(InData()), Uniform(), Conditioning(0.0))


def _game(student: Affine, critic: nn.Module) -> Distillation:
    teacher = _family(Gaussian(0.0, 1.0))
    return Distillation(_family(student), _family(critic), teacher, DenoisingLoss(InData()))


def _draws(game: Distillation) -> dict[str, Tensor]:
    drawn = game.draw(ROWS, (1,), torch.Generator().manual_seed(0))
    return {name: value.double() if value.is_floating_point() else value for name, value in drawn.items()}


def _loss(game: Distillation) -> Tensor:
    """Return the student's losses: (ROWS,)."""
    batch = Batch(torch.zeros(ROWS, 1, dtype=torch.float64), None)
    return game.student_loss(batch, _draws(game))


def _gradient(game: Distillation) -> tuple[float, float]:
    """Return the gradient of the student's loss by its shift and its scale."""
    _loss(game).mean().backward()
    student = game.student.module
    return float(student.shift.grad), float(student.scale.grad)


def test_the_student_stands_still_where_the_critic_is_the_teacher() -> None:
    game = _game(Affine(0.7, 0.5), Gaussian(0.0, 1.0))
    assert _gradient(game) == (0, 0)
    assert not _loss(game).any()


@pytest.mark.parametrize(("shift", "scale"), [(-0.8, 1.0), (0.5, 1.0), (0.0, 0.6), (0.3, 1.5)])
def test_the_gradient_is_that_of_the_identity(shift: float, scale: float) -> None:
    """Against N(0, 1), whose estimate is alpha·x_t; that of N(shift, scale²) is c·x_t + d.

    With v = 1, the derivative of x by the shift, or v = z, that by the scale, and c = alpha·scale²/V,

        dL = v·((alpha − c)·alpha·(D_critic − x) + (D_teacher − D_critic)·(alpha·c − 1)) / distance
    """
    game = _game(Affine(shift, scale), Gaussian(shift, scale))
    by_shift, by_scale = _gradient(game)
    draws = _draws(game)
    z, level = draws["z0"], SCHEDULE.level(draws["denoiser.t"])
    alpha, sigma = level.alpha[:, None], level.sigma[:, None]
    x = scale * z + shift
    x_t = alpha * x + sigma * draws["denoiser.eps"]
    slope = alpha * scale**2 / (alpha**2 * scale**2 + sigma**2)
    real, own = alpha * x_t, slope * x_t + shift * (1 - slope * alpha)
    distance = (x - real).abs().clamp(min=LEAST_DISTANCE)
    by_x = ((alpha - slope) * alpha * (own - x) + (real - own) * (alpha * slope - 1)) / distance
    assert by_shift == pytest.approx(float(by_x.mean()), rel=1e-6)
    assert by_scale == pytest.approx(float((by_x * z).mean()), rel=1e-6)
    # What is returned is how far apart both estimates are, which is 0 nowhere else than where they agree.
    apart = ((real - own).square() / distance).mean(1)
    torch.testing.assert_close(_loss(game).detach(), apart)
    # Towards the teacher, and by more than chance.
    for found, away, each in ((by_shift, shift, by_x), (by_scale, scale - 1, by_x * z)):
        assert not away or found * away > 5 * abs(away) * float(each.std()) / ROWS**0.5


def test_the_student_finds_the_teacher_with_the_exact_critic() -> None:
    shift, scale = 0.8, 0.5
    for _ in range(200):
        by_shift, by_scale = _gradient(_game(Affine(shift, scale), Gaussian(shift, scale)))
        shift, scale = shift - 0.3 * by_shift, scale - 0.3 * by_scale
    # Gradients vanish with the difference of both estimates, draw by draw, so no noise is left at the end.
    assert abs(shift) < 0.01
    assert abs(scale - 1) < 0.01


def test_the_critic_learns_the_student_s_mean() -> None:
    game = _game(Affine(0.5), Gaussian(-0.3, 1.0))
    optimiser = torch.optim.SGD(game.critic.module.parameters(), lr=0.5)
    for step in range(200):
        draws = game.draw(512, (1,), torch.Generator().manual_seed(step))
        draws = {name: v.double() if v.is_floating_point() else v for name, v in draws.items()}
        batch = Batch(torch.zeros(512, 1, dtype=torch.float64), None)
        optimiser.zero_grad()
        game.critic_loss(batch, draws).mean().backward()
        optimiser.step()
    # Its standard error over the last dozens of steps of 512 is about 0.02.
    assert game.critic.module.mean.item() == pytest.approx(0.5, abs=0.1)
    assert game.student.module.shift.grad is None


def test_the_critic_is_ahead_of_the_student_and_follows_to_the_end() -> None:
    student, critic = _game(Affine(0.5), Gaussian(0.0, 1.0)).players()
    assert critic.pace * critic.floor > 0
    assert critic.pace > student.pace
    assert student.floor == 0


def test_players_that_are_not_named_keep_their_networks() -> None:
    game, other = _game(Affine(0.5), Gaussian(0.0, 1.0)), Gaussian(3.0, 1.0)

    def networks(of: Distillation) -> list[object]:
        return [one.denoiser.network for one in (of.student, of.critic, of.teacher)]

    student, critic, teacher = networks(game)
    assert networks(game.with_modules({})) == [student, critic, teacher]
    assert networks(game.with_modules({"denoiser": other})) == [other, critic, teacher]
    assert networks(game.with_modules({"critic": other})) == [student, other, teacher]


def test_a_later_step_is_asked_on_the_student_s_own_noised_sample() -> None:
    game = replace(_game(Affine(0.5), Gaussian(0.0, 1.0)), at=(1.0, 0.4))
    draws = {n: v.double() for n, v in game.draw(4, (1,), torch.Generator().manual_seed(0)).items()}
    draws["stage"] = torch.tensor([0, 1, 0, 1])
    x = game.generate(None, draws)
    first = draws["z0"] + 0.5
    level = SCHEDULE.level(0.4)
    second = level.alpha * first + level.sigma * draws["z1"] + 0.5
    torch.testing.assert_close(
        x, torch.where(draws["stage"][:, None] == 0, first, second), rtol=1e-12, atol=1e-12
    )


class Overheard(Gaussian):
    """An exact estimate that keeps the attributes it was told last."""

    heard: Tensor

    def forward(self, x: Tensor, level: Tensor, condition: Condition | None) -> Tensor:
        """Return E[x0 | x_t]."""
        assert condition is not None
        assert not bool(condition.dropped["attributes"].any())
        self.heard = condition.values["attributes"]
        return super().forward(x, level, condition)


def test_all_three_are_told_a_part_of_the_attributes_and_the_same_part() -> None:
    rule, count, rows = Conditioning(0.0, ("attributes",), attributes=4), 4, 4000
    networks = [Overheard(0.0, 1.0) for _ in range(3)]
    student, critic, teacher = (replace(_family(each), conditioning=rule) for each in networks)
    game = Distillation(student, critic, teacher, DenoisingLoss(InData()))
    draws = {
        name: value.double() if value.is_floating_point() else value
        for name, value in game.draw(rows, (1,), torch.Generator().manual_seed(0)).items()
    }
    whole = Condition.of(attributes=torch.ones(rows, count))
    batch = Batch(torch.zeros(rows, 1, dtype=torch.float64), whole)
    for loss, listening in ((game.student_loss, networks), (game.critic_loss, networks[:2])):
        loss(batch, draws)
        told = listening[0].heard
        assert all(torch.equal(each.heard, told) for each in listening)
        # As many as 0, 1, … 4 of them, each number as often: four standard deviations of a share of 4000.
        shares = torch.bincount(told.sum(1).long(), minlength=count + 1) / rows
        assert float((shares - 0.2).abs().max()) < 4 * (0.16 / rows) ** 0.5


def test_a_guided_teacher_is_guided() -> None:
    class Labelled(Gaussian):
        def forward(self, x: Tensor, level: Tensor, condition: Condition | None) -> Tensor:
            assert condition is not None
            shown = torch.where(condition.dropped["label"], 0.0, condition.values["label"].double())
            return super().forward(x, level, condition) + shown[:, None]

    game = replace(_game(Affine(0.0), Gaussian(0.0, 1.0)), teacher=_family(Labelled(0.0, 1.0)), guidance=3.0)
    condition = Condition.of(label=torch.tensor([1, 2]))
    x, t = torch.zeros(2, 1, dtype=torch.float64), torch.tensor([0.5, 0.5], dtype=torch.float64)
    plain = replace(game, guidance=1.0)._real(x, t, condition)
    free = game.teacher.denoiser.estimate(x, t, condition.drop_all()).x0
    torch.testing.assert_close(game._real(x, t, condition), free + 3 * (plain - free))

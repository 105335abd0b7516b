"""Learning the guided model: where its loss stands still, and what it leaves alone."""

import pytest
import torch
from torch import Tensor, nn

from sfumato.condition import Condition
from sfumato.diffusion.denoiser import NetworkDenoiser
from sfumato.diffusion.guided_objective import GuidedLoss
from sfumato.diffusion.objective import DenoisingLoss
from sfumato.diffusion.prediction import V
from sfumato.diffusion.schedules import CosineVP
from sfumato.diffusion.weighting import InV
from sfumato.errors import ConfigError

ROWS = 4000


class Table(nn.Module):
    """A network of one number for each label and one for none: its optimum is a mean over the data."""

    def __init__(self) -> None:
        super().__init__()
        self.rows = nn.Parameter(torch.tensor([0.4, -0.7, 0.1], dtype=torch.float64))

    def forward(self, x: Tensor, level: Tensor, condition: Condition | None) -> Tensor:
        """Return the number of each example's label: (B, 1)."""
        assert condition is not None
        chosen = torch.where(condition.dropped["label"], torch.tensor(2), condition.values["label"])
        return self.rows[chosen][:, None]


def _data() -> tuple[Tensor, Tensor, Tensor, Condition]:
    generator = torch.Generator().manual_seed(0)
    label = torch.arange(ROWS) % 2
    x0 = (label * 2.0 - 1)[:, None].double() + 0.1 * torch.randn(ROWS, 1, generator=generator).double()
    eps = torch.randn(ROWS, 1, generator=generator).double()
    condition = Condition.of(label=label).drop(torch.rand(ROWS, generator=generator) < 0.3)
    return x0, eps, torch.full((ROWS,), 0.6, dtype=torch.float64), condition


def _denoiser(table: Table) -> NetworkDenoiser:
    return NetworkDenoiser(table, CosineVP(), V())


@pytest.mark.parametrize("guidance", [1.0, 1.5, 3.0])
def test_the_gradient_vanishes_at_the_guided_model(guidance: float) -> None:
    x0, eps, t, condition = _data()
    table = Table()
    denoiser = _denoiser(table)
    target = denoiser.prediction.row(denoiser.schedule.level(t)).of(x0, eps)[:, 0]
    free = target[condition.dropped["label"]].mean()
    with torch.no_grad():
        table.rows[2] = free
        for label in (0, 1):
            own = target[~condition.dropped["label"] & (condition.values["label"] == label)].mean()
            table.rows[label] = free + guidance * (own - free)
    GuidedLoss(InV(), guidance)(denoiser, x0, eps, t, condition).mean().backward()
    # Means over the same rows: nothing is left but rounding.
    assert table.rows.grad is not None
    assert table.rows.grad.abs().max() < 1e-12


def test_descent_finds_the_guided_model_from_anywhere() -> None:
    x0, eps, t, condition = _data()
    table = Table()
    optimiser = torch.optim.SGD(table.parameters(), lr=1.0)
    for _ in range(300):
        optimiser.zero_grad()
        GuidedLoss(InV(), 2.0)(_denoiser(table), x0, eps, t, condition).mean().backward()
        optimiser.step()
    target = _denoiser(table).prediction.row(CosineVP().level(t)).of(x0, eps)[:, 0]
    free = float(target[condition.dropped["label"]].mean())
    own = [
        float(target[~condition.dropped["label"] & (condition.values["label"] == k)].mean()) for k in (0, 1)
    ]
    expected = [free + 2 * (value - free) for value in own]
    # A linear iteration that gains at least a tenth a step: 0.9^300 is below the tolerance.
    assert table.rows[:2].tolist() == pytest.approx(expected, abs=1e-6)


def test_it_is_the_denoising_loss_without_guidance_and_without_a_condition() -> None:
    x0, eps, t, condition = _data()
    denoiser = _denoiser(Table())
    plain = DenoisingLoss(InV())(denoiser, x0, eps, t, condition)
    assert torch.equal(GuidedLoss(InV(), 1.0)(denoiser, x0, eps, t, condition), plain)
    free = condition.drop_all()
    assert torch.equal(
        GuidedLoss(InV(), 2.0)(denoiser, x0, eps, t, free), DenoisingLoss(InV())(denoiser, x0, eps, t, free)
    )


def test_less_than_the_conditional_model_cannot_be_learned() -> None:
    with pytest.raises(ConfigError, match="at least 1"):
        GuidedLoss(InV(), 0.5)

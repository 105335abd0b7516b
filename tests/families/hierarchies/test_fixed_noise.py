"""The hierarchical bound of encoders that only add noise is the diffusion bound, term by term."""

import pytest
import torch
from torch import Tensor, nn

from sfumato.condition import Condition
from sfumato.diffusion.bound import Chain, bound
from sfumato.diffusion.decoder import ContinuousGaussian, DiscretisedGaussian
from sfumato.diffusion.denoiser import NetworkDenoiser
from sfumato.diffusion.exact import ExactDenoiser
from sfumato.diffusion.prediction import Data, Noise
from sfumato.diffusion.schedules import CosineVP, GeometricVE, LinearVP, RectifiedFlow
from sfumato.diffusion.variance import FixedSmall
from sfumato.errors import ConfigError
from sfumato.families.hierarchies.fixed_noise import NoiseEncoders, hierarchical_bound
from sfumato.verify.likelihoods import power_law_mixture
from sfumato.verify.oracle import BlockNoise, randn

SCHEDULES = [LinearVP(), CosineVP(), RectifiedFlow()]
every_schedule = pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda schedule: type(schedule).__name__)


class Random(nn.Module):
    """A network nobody trained."""

    def __init__(self) -> None:
        super().__init__()
        self.weights = nn.Parameter(randn(4, 4, seed=5), requires_grad=False)

    def forward(self, x: Tensor, level: Tensor, condition: Condition | None) -> Tensor:
        """Return what the weights make of x and the level: (B, 4)."""
        return torch.tanh(x @ self.weights + level[:, None]) + 0.3 * x


class Played:
    """Gives back the noises of a path, the last level's first, as the diffusion bound asks for them."""

    def __init__(self, noises: list[Tensor]) -> None:
        self.noises = noises

    def normal(self, shape: tuple[int, ...]) -> Tensor:
        return self.noises.pop()


def denoisers(schedule):
    yield ExactDenoiser(power_law_mixture(4), schedule)
    yield NetworkDenoiser(Random(), schedule, Data())
    if float(schedule.level(1.0).alpha) > 0:
        yield NetworkDenoiser(Random(), schedule, Noise())


@every_schedule
@pytest.mark.parametrize("levels", [1, 2, 7, 50])
@pytest.mark.parametrize("decoder", [ContinuousGaussian(), DiscretisedGaussian()], ids=["density", "bins"])
def test_the_hierarchical_bound_is_the_diffusion_bound(schedule, levels, decoder):
    x = power_law_mixture(4).sample(6, torch.Generator().manual_seed(1)).clamp(-1, 1)
    for denoiser in denoisers(schedule):
        terms = hierarchical_bound(denoiser, levels, decoder, x, BlockNoise(3))
        path = NoiseEncoders.of(schedule, levels).path(x, BlockNoise(3))
        at = [schedule.level(k / levels) for k in range(1, levels + 1)]
        noises = [(z - level.alpha * x) / level.sigma for z, level in zip(path, at, strict=True)]
        truth = bound(denoiser, Chain(schedule, levels, FixedSmall(), decoder), x, Played(noises))
        torch.testing.assert_close(terms[0], truth.decoder, rtol=1e-8, atol=1e-8)
        torch.testing.assert_close(terms[1:-1], truth.steps, rtol=1e-8, atol=1e-8)
        torch.testing.assert_close(terms[-1], truth.prior, rtol=1e-8, atol=1e-8)
        torch.testing.assert_close(terms.sum(0), truth.total, rtol=1e-8, atol=1e-8)


@every_schedule
def test_the_encoders_at_once_are_the_schedule(schedule):
    encoders = NoiseEncoders.of(schedule, 9)
    for k, (scale, variance) in enumerate(encoders.at_once):
        level = schedule.level(k / 9)
        assert scale == pytest.approx(float(level.alpha), abs=1e-12)
        assert variance == pytest.approx(float(level.sigma) ** 2, abs=1e-12)


@every_schedule
def test_the_bound_lies_above_the_truth(schedule):
    mixture = power_law_mixture(4)
    x = mixture.sample(2000, torch.Generator().manual_seed(1))
    denoiser = ExactDenoiser(mixture, schedule)
    found = hierarchical_bound(denoiser, 20, ContinuousGaussian(), x, BlockNoise(3)).sum(0)
    gap = found + mixture.log_prob(x, schedule.level(0.0))
    # By more than five standard errors: twenty levels are few.
    assert float(gap.mean()) > 5 * float(gap.std()) / 2000**0.5


def test_what_is_no_hierarchy_is_refused():
    with pytest.raises(ConfigError, match="GeometricVE has noise"):
        NoiseEncoders.of(GeometricVE(), 4)
    with pytest.raises(ConfigError, match="at least 1 level, not 0"):
        NoiseEncoders.of(CosineVP(), 0)

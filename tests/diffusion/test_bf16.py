"""What the laws become where a network answers in bf16, as networks do where a machine is fast in it.

bf16 has 8 binary digits, so a number is off by at most u = 2⁻⁸ of itself. Only what goes into a network and
what comes out of it is rounded: levels, coefficients, states and sums keep their precision.
"""

from dataclasses import dataclass
from typing import Any

import pytest
from torch import Tensor

from sfumato.condition import Condition
from sfumato.diffusion.denoiser import NetworkDenoiser
from sfumato.diffusion.grids import LogSNRGrid
from sfumato.diffusion.level import expand
from sfumato.diffusion.prediction import EDM, inverse
from sfumato.verify.oracle import MIXTURE, OracleNetwork, asked_times, randn
from sfumato.verify.pieces import ADAPTIVE, PAIRS, SAMPLERS, SCHEDULES, WALKS, pair
from sfumato.verify.walks import walk

U = 2.0**-8
STEPS = 12
STRETCHED = ("fixed_level", "euler_maruyama")


def rounded(x: Tensor) -> Tensor:
    return x.bfloat16().double()


@dataclass
class InBf16:
    """A network that is shown and puts out bf16."""

    network: Any

    def __call__(self, x: Tensor, level: Tensor, condition: Condition | None) -> Tensor:
        return rounded(self.network(rounded(x), level, condition))


def test_a_number_is_off_by_at_most_u():
    x = randn(10_000)
    assert float(((rounded(x) - x) / x).abs().max()) <= U
    assert float(((rounded(x) - x) / x).abs().max()) > 0.9 * U


@pytest.mark.parametrize(("schedule_name", "prediction_name"), PAIRS)
def test_an_estimate_is_off_by_what_its_row_makes_of_the_rounding(schedule_name, prediction_name):
    """x̂0 = p·x_t + q·output and ε̂ = r·x_t + s·output, so they are off by |q|, |s| times u of the output."""
    schedule, prediction = pair(schedule_name, prediction_name)
    for t in asked_times(schedule, 5):
        level = schedule.level(t)
        x0, eps = randn(64, 2), randn(64, 2, seed=1)
        x_t = expand(level.alpha, x0) * x0 + expand(level.sigma, x0) * eps
        output = prediction.row(level).of(x0, eps)
        denoiser = NetworkDenoiser(lambda x, level, condition, o=output: rounded(o), schedule, prediction)
        found = denoiser.estimate(x_t, t)
        _, q, _, s = (abs(float(factor)) for factor in inverse(prediction.row(level), level))
        # Besides, x_t itself is a sum that was rounded in float64, which an ill-conditioned row enlarges.
        rest = 1e-12 * (1 + q + s)
        assert bool(((found.x0 - x0).abs() <= U * q * output.abs() + rest).all())
        assert bool(((found.eps - eps).abs() <= U * s * output.abs() + rest).all())


@pytest.mark.parametrize(
    ("schedule_name", "sampler_name"), [names for names in WALKS if names[1] not in ADAPTIVE]
)
def test_a_walk_ends_where_it_ends_in_full_precision(schedule_name, sampler_name):
    """The ends lie within 2u of the data's deviation of each other, root mean square.

    EDM's output has deviation 1 and is off by u at most, as is what it is asked of, about half of that in the
    mean; a walk weighs its estimates by weights that sum to about 1. Where components are narrower than the
    mixture a flow stretches small differences. Walks that come back to where that is so, because they stay at
    one level or are given fresh noise by Euler's step, are stretched again each time: 5u. One that keeps a
    tolerance takes other steps altogether, and is left out.
    """
    schedule = SCHEDULES[schedule_name]
    times = LogSNRGrid().times(STEPS, schedule)
    prediction = EDM(1.0)
    exact = OracleNetwork(MIXTURE, schedule, prediction, times)
    x = schedule.prior_std * randn(256, 2)
    right, found = (
        walk(NetworkDenoiser(network, schedule, prediction), SAMPLERS[sampler_name], x, times).x
        for network in (exact, InBf16(exact))
    )
    off = float((found - right).square().mean().sqrt() / right.std())
    assert 0 < off <= (5 * U if sampler_name in STRETCHED else 2 * U)

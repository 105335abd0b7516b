"""What the demonstrations show: the reverse step is Gaussian for a small beta, and signal is left at T."""

import math

import pytest

from sfumato.diffusion.schedules import LinearVP
from sfumato.verify.demonstrations import (
    BETAS,
    LENGTHS,
    MODES,
    NOISINGS,
    ONE_MODE,
    distance_from_gaussian,
    signal_by_length,
)


def test_the_distance_falls_with_beta_and_is_nothing_for_a_gaussian():
    distances = [distance_from_gaussian(beta) for beta in BETAS]
    assert sorted(distances) == distances
    # KL ~ skewness²/12 and the skewness goes as beta^{3/2}; the next term is of relative size beta.
    assert math.log2(distance_from_gaussian(2e-3) / distance_from_gaussian(1e-3)) == pytest.approx(3, abs=0.1)
    for beta in (0.01, 0.5, 0.9):
        assert abs(distance_from_gaussian(beta, ONE_MODE)) < 1e-10


def test_distance_from_gaussian_is_that_of_its_definition():
    # Two far modes under a large beta: the reverse step keeps both, and its Gaussian covers them.
    far = ((0.5, -2.0, 0.1), (0.5, 2.0, 0.1))
    # As beta → 1 nothing is learned from x_t: KL of the mixture itself, ½ log(2πe·4.01) − entropy.
    entropy = math.log(2) + 0.5 * math.log(2 * math.pi * math.e * 0.01)
    truth = 0.5 * math.log(2 * math.pi * math.e * 4.01) - entropy
    assert distance_from_gaussian(0.99, far) == pytest.approx(truth, rel=2e-3)
    assert distance_from_gaussian(BETAS[0], MODES) < 1e-5


@pytest.mark.parametrize("name", NOISINGS)
def test_the_signal_left_of_a_chain_is_the_product_of_its_steps(name):
    steps, left = signal_by_length(NOISINGS[name])
    assert set(steps) <= set(LENGTHS)
    assert LENGTHS[-1] in steps
    for count, share in zip(steps, left, strict=True):
        times = [step / count for step in range(count + 1)]
        levels = [float(NOISINGS[name](count).level(t).alpha) for t in times[:: max(1, count // 10)]]
        assert share <= min(levels) + 1e-12


def test_a_schedule_of_no_length_is_continuous_time():
    # DDPM's thousand betas end where Song et al.'s linear schedule does, to one part in fifty.
    _, left = signal_by_length(NOISINGS["linear betas"])
    assert left[-1] == pytest.approx(float(LinearVP().level(1.0).alpha), rel=0.05)

"""Thresholding: bounds are kept picture by picture, and what is within them is not touched."""

import pytest
import torch

from sfumato.diffusion.schedules import LinearVP
from sfumato.diffusion.thresholding import Dynamic, Static, Thresholded
from sfumato.errors import ConfigError
from sfumato.verify.pieces import THRESHOLDS

from .helpers import KnownDenoiser, close, number, rand, randn

BOUNDS = [(-1.0, 1.0), (0.0, 1.0), (-3.0, 0.5)]
every_threshold = pytest.mark.parametrize("threshold", THRESHOLDS.values(), ids=THRESHOLDS)
any_bounds = pytest.mark.parametrize("bounds", BOUNDS, ids=str)


@every_threshold
@any_bounds
def test_what_is_within_the_bounds_keeps_every_bit(threshold, bounds):
    low, high = bounds
    x0 = (low + (high - low) * rand(4, 3, 5, 5)).float()
    x0[0, 0, 0, :2] = torch.tensor([low, high])
    assert torch.equal(threshold.clip(x0, bounds), x0)


@every_threshold
@any_bounds
def test_nothing_leaves_the_bounds(threshold, bounds):
    clipped = threshold.clip(20 * randn(8, 3, 5, 5).float(), bounds)
    assert float(clipped.min()) >= bounds[0]
    assert float(clipped.max()) <= bounds[1]


@every_threshold
def test_a_picture_does_not_depend_on_the_others(threshold):
    x0 = torch.cat([randn(3, 2, 4, 4), 30 * randn(1, 2, 4, 4, seed=1)])
    for index in range(4):
        alone = threshold.clip(x0[index : index + 1], (-1.0, 1.0))
        assert torch.equal(threshold.clip(x0, (-1.0, 1.0))[index : index + 1], alone)


def test_static_moves_to_the_nearest_bound():
    close(Static().clip(number([[-4.0, -0.2, 0.3, 2.0]]), (-1.0, 0.5)), [[-1.0, -0.2, 0.3, 0.5]])


def test_dynamic_divides_by_the_percentile_of_the_absolute_value():
    """The rule in numbers: with s the percentile of |x|, clip to s and divide by s.

    Of 0.0, 0.5, …, 5.0 in size, the 90th percentile is 4.5, the tenth of eleven.
    """
    x0 = number([[0.0, 0.5, -1.0, 1.5, -2.0, 2.5, -3.0, 3.5, -4.0, 4.5, -5.0]])
    close(Dynamic(0.9).clip(x0, (-1.0, 1.0)), torch.cat([x0[:, :10] / 4.5, number([[-1.0]])], 1))


def test_dynamic_scales_about_the_middle_of_the_bounds():
    # About 2, the largest distance is 4, twice what the bounds allow.
    close(Dynamic(1.0).clip(number([[6.0, 2.0, 1.0]]), (0.0, 4.0)), [[4.0, 2.0, 1.5]])


def test_dynamic_clips_the_few_that_its_share_leaves_out():
    x0 = number([[0.5] * 99 + [7.0]])
    close(Dynamic(0.9).clip(x0, (-1.0, 1.0)), [[0.5] * 99 + [1.0]])


@pytest.mark.parametrize("share", [0.0, -0.1, 1.1])
def test_a_share_that_is_none_is_refused(share):
    with pytest.raises(ConfigError, match="share"):
        Dynamic(share)


@every_threshold
@pytest.mark.parametrize("bounds", [None, (1.0, 1.0), (1.0, -1.0)])
def test_unbounded_data_is_refused(threshold, bounds):
    denoiser = KnownDenoiser(LinearVP(), number([0.0]))
    with pytest.raises(
        ConfigError, match=f"{type(threshold).__name__.lower()} thresholding is for bounded data"
    ):
        Thresholded(denoiser, threshold, bounds)


@every_threshold
def test_an_estimate_within_its_bounds_is_the_denoisers_own(threshold):
    denoiser = KnownDenoiser(LinearVP(), number([0.3, -0.9]))
    x_t, t = randn(3, 2), number(0.4)
    own, kept = (d.estimate(x_t, t) for d in (denoiser, Thresholded(denoiser, threshold, (-1.0, 1.0))))
    assert torch.equal(own.x0, kept.x0)
    assert torch.equal(own.eps, kept.eps)


def test_the_noise_takes_up_what_the_threshold_cut():
    schedule, t = LinearVP(), number(0.4)
    x_t, level = randn(3, 2), LinearVP().level(0.4)
    cut = Thresholded(KnownDenoiser(schedule, number([2.0, -5.0])), Static(), (-1.0, 1.0)).estimate(x_t, t)
    close(cut.x0, number([1.0, -1.0]).expand(3, 2))
    close(cut.eps, (x_t - level.alpha * cut.x0) / level.sigma)

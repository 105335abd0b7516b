"""Any row of an estimate is known, by the shortest way to it, and frames may be looked at late."""

import dataclasses

import pytest
import torch

from sfumato.condition import Condition
from sfumato.diffusion.guidance import ClassifierFree
from sfumato.diffusion.prediction import Estimate
from sfumato.diffusion.samplers import sample_frames
from sfumato.diffusion.samplers.interpolation import vandermonde, weights
from sfumato.diffusion.thresholding import Static, Thresholded
from sfumato.verify.pieces import DENOISERS, PARTICULAR, SAMPLERS, SCHEDULES

from .helpers import BlockNoise, close, number, randn

ROWS = [(1.0, 0.0), (0.0, 1.0), (0.6, 0.0), (0.3, -1.2), (-0.9, 0.4), (0.0, 0.0)]
WITH = Condition.of(label=torch.arange(4))


@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
@pytest.mark.parametrize("name", DENOISERS)
def test_a_row_of_an_estimate_is_its_sum(name, schedule):
    denoiser = DENOISERS[name](schedule)
    for t in (0.3, 0.8):
        estimate = denoiser.estimate(randn(4, 2), number(t), WITH)
        for a, b in ROWS:
            close(estimate.mix(a, b), a * estimate.x0 + b * estimate.eps, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", DENOISERS)
def test_a_mixture_is_a_tensor_of_its_own(name):
    estimate = DENOISERS[name](SCHEDULES["linear_vp"]).estimate(randn(4, 2), number(0.4), WITH)
    before = estimate.x0.clone(), estimate.eps.clone()
    for a, b in ROWS:
        estimate.mix(a, b).zero_()
    assert torch.equal(estimate.x0, before[0])
    assert torch.equal(estimate.eps, before[1])


def test_what_replaces_a_part_of_an_estimate_is_in_its_mixtures():
    x0, eps = randn(2, 3), randn(2, 3, seed=1)
    estimate = Estimate.of(lambda a, b: a * x0 + b * eps)
    changed = dataclasses.replace(estimate, x0=5 * x0)
    close(estimate.mix(2.0, 3.0), 2 * x0 + 3 * eps)
    close(changed.mix(2.0, 3.0), 10 * x0 + 3 * eps)


def test_a_part_that_counts_nothing_is_not_computed():
    def mix(a, b):
        assert b == 0, "the noise was not asked for"
        return a * randn(2, 3)

    estimate = Estimate.of(mix)
    close(estimate.x0, randn(2, 3))
    close(dataclasses.replace(Estimate.of(mix), eps=randn(2, 3)).mix(2.0, 0.0), 2 * randn(2, 3))


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_frame_that_is_looked_at_late_shows_what_it_showed(name):
    schedule = SCHEDULES[PARTICULAR.get(name, ("linear_vp",))[0]]
    times = torch.linspace(1, 0, 5, dtype=torch.float64)

    def frames():
        denoiser = DENOISERS["thresholded"](schedule)
        return sample_frames(denoiser, SAMPLERS[name], randn(3, 2), times, BlockNoise(0))

    at_once = [(frame.x.clone(), frame.x0.clone()) for frame in frames()]
    late = list(frames())
    assert len(late) == len(at_once) == 5
    for (x, x0), frame in zip(at_once, late, strict=True):
        assert torch.equal(frame.x, x)
        assert torch.equal(frame.x0, x0)


class Inferring:
    """A denoiser that runs in inference mode, as one in production may."""

    def __init__(self, denoiser):
        self.denoiser, self.schedule, self.evaluations = denoiser, denoiser.schedule, denoiser.evaluations

    def estimate(self, x_t, t, condition=None):
        with torch.inference_mode():
            return self.denoiser.estimate(x_t, t, condition)


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_denoiser_in_inference_mode_gives_the_same_walk(name):
    schedule = SCHEDULES[PARTICULAR.get(name, ("linear_vp",))[0]]
    times, network = torch.linspace(1, 0, 4, dtype=torch.float64), DENOISERS["network"](schedule)
    ends = [
        list(sample_frames(denoiser, SAMPLERS[name], randn(4, 2), times, BlockNoise(0), WITH))[-1].x
        for inner in (network, Inferring(network))
        for denoiser in (inner, Thresholded(ClassifierFree(inner, 2.0), Static(), (-0.2, 0.2)))
    ]
    assert torch.equal(ends[0], ends[2])
    assert torch.equal(ends[1], ends[3])


@pytest.mark.parametrize(
    "places", [(), (0.5,), (-1.0, 0.4), (-1.0, -2.5, -4.5), (0.7, -0.3, 1.9, -2.0)], ids=str
)
def test_the_vandermonde_system_is_solved(places):
    moments = [0.4, -0.7, 1.3, 0.2][: len(places)]
    d = vandermonde(places, moments)
    for k, moment in enumerate(moments):
        close(sum(d_j * u**k for d_j, u in zip(d, places, strict=True)), moment, rtol=1e-12, atol=1e-12)


def test_the_weights_of_a_correction_leave_a_constant_alone():
    close(sum(weights([1.0, 0.3, 2.2], 0.5, [0.5, 1 / 3])), 0.0)
    assert weights([1.0], 0.5, []) == [0.0]

"""The lists of pieces are complete, and every denoiser keeps the same agreement."""

import importlib
import inspect
import pkgutil

import pytest
import torch

import sfumato.diffusion
from sfumato.condition import Condition
from sfumato.diffusion.denoiser import NetworkDenoiser
from sfumato.diffusion.exact import ExactDenoiser, gaussian
from sfumato.diffusion.grids import LogSNRGrid
from sfumato.diffusion.level import expand
from sfumato.diffusion.samplers import sample_frames
from sfumato.verify.pieces import DENOISERS, KINDS, PAIRS, SAMPLERS, SCHEDULES, pair

from .helpers import (
    COVARIANCE,
    MEAN,
    BlockNoise,
    FixedNoise,
    OracleNetwork,
    asked_times,
    close,
    last_x,
    number,
    randn,
)


def public_classes(method: str) -> set[type]:
    """Find every public concrete class under `sfumato.diffusion` that has `method`."""
    found = set()
    for info in pkgutil.walk_packages(sfumato.diffusion.__path__, "sfumato.diffusion."):
        for name, cls in inspect.getmembers(importlib.import_module(info.name), inspect.isclass):
            concrete = not getattr(cls, "_is_protocol", False) and not inspect.isabstract(cls)
            if cls.__module__ == info.name and not name.startswith("_") and concrete and hasattr(cls, method):
                found.add(cls)
    return found


@pytest.mark.parametrize("method", KINDS)
def test_no_piece_is_missing_from_the_lists(method):
    assert {type(piece) for piece in KINDS[method].values()} == public_classes(method)


def test_no_denoiser_is_missing_from_the_list():
    built = {type(build(SCHEDULES["linear_vp"])) for build in DENOISERS.values()}
    assert built == public_classes("estimate")


@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
@pytest.mark.parametrize("name", DENOISERS)
def test_every_estimate_explains_what_was_seen(name, schedule):
    denoiser = DENOISERS[name](schedule)
    t = asked_times(schedule)
    level, x_t = schedule.level(t), 3 * randn(len(t), 2)
    # Guidance asks one time for the whole batch.
    rows = [denoiser.estimate(x_t[i : i + 1], t[i]) for i in range(len(t))]
    x0, eps = torch.cat([row.x0 for row in rows]), torch.cat([row.eps for row in rows])
    close(expand(level.alpha, x0) * x0 + expand(level.sigma, eps) * eps, x_t)
    assert denoiser.schedule is schedule


@pytest.mark.parametrize("name", DENOISERS)
@pytest.mark.parametrize("conditioned", [True, False], ids=["condition", "no_condition"])
def test_evaluations_are_the_network_runs_there_were(name, conditioned, monkeypatch):
    runs = []
    output = NetworkDenoiser.output
    monkeypatch.setattr(NetworkDenoiser, "output", lambda *a: (runs.append(1), output(*a))[1])
    condition = Condition.of(label=torch.arange(4)) if conditioned else None
    times = torch.linspace(1, 0, 4, dtype=torch.float64)
    denoiser = DENOISERS[name](SCHEDULES["linear_vp"])
    frames = list(sample_frames(denoiser, SAMPLERS["euler"], randn(4, 2), times, BlockNoise(0), condition))
    # The exact denoiser has no network and counts as if it had.
    assert frames[-1].evaluations == (len(runs) if name != "exact" else 3)


@pytest.mark.parametrize("sampler", SAMPLERS.values(), ids=SAMPLERS)
@pytest.mark.parametrize(("schedule_name", "prediction_name"), PAIRS)
def test_what_is_predicted_does_not_change_the_sample(schedule_name, prediction_name, sampler):
    schedule, prediction = pair(schedule_name, prediction_name)
    mixture = gaussian(MEAN, COVARIANCE)
    times = LogSNRGrid().times(4, schedule)
    network = OracleNetwork(mixture, schedule, prediction, times)
    x = schedule.prior_std * randn(3, 3)
    noise = FixedNoise(randn(3, 3, seed=1))
    sample = last_x(NetworkDenoiser(network, schedule, prediction), sampler, x, times, noise)
    # The solve may lose four digits (LARGEST_AMPLIFICATION) at each of four steps, hence 1e-9.
    close(sample, last_x(ExactDenoiser(mixture, schedule), sampler, x, times, noise), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", ["network", "thresholded", "classifier_free"])
@pytest.mark.parametrize("sampler", SAMPLERS.values(), ids=SAMPLERS)
def test_samples_keep_the_precision_of_their_start(name, sampler):
    denoiser = DENOISERS[name](SCHEDULES["cosine_vp"])
    times = torch.linspace(1, 0, 4, dtype=torch.float64)
    condition = Condition.of(label=torch.arange(2))
    noise = FixedNoise(number(0.5))
    for frame in sample_frames(denoiser, sampler, randn(2, 2).float(), times, noise, condition):
        assert frame.x.dtype == frame.x0.dtype == torch.float32

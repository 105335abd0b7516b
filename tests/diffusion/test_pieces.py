"""The lists of pieces are complete, and every denoiser keeps the same agreement."""

import importlib
import inspect
import pkgutil
from itertools import product

import pytest
import torch

import sfumato.diffusion
from sfumato.condition import Condition
from sfumato.diffusion.denoiser import NetworkDenoiser
from sfumato.diffusion.exact import ExactDenoiser, gaussian
from sfumato.diffusion.grids import LogSNRGrid
from sfumato.diffusion.level import expand
from sfumato.diffusion.samplers import sample_frames
from sfumato.verify.pieces import (
    BETWEEN,
    DENOISERS,
    KINDS,
    PAIRS,
    PARTICULAR,
    SAMPLERS,
    SCHEDULES,
    SMOOTH,
    WALKS,
    pair,
)

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
    plain = NetworkDenoiser.output

    def counted(*given):
        runs.extend(["forward"] * (len(given[1]) // 4))  # of a batch that asks for more at once
        output = plain(*given)
        if output.requires_grad:
            output.register_hook(lambda gradient: runs.append("backward"))
        return output

    monkeypatch.setattr(NetworkDenoiser, "output", counted)
    condition = Condition.of(label=torch.arange(4)) if conditioned else None
    times = torch.linspace(1, 0, 4, dtype=torch.float64)
    denoiser = DENOISERS[name](SCHEDULES["linear_vp"])
    frames = list(sample_frames(denoiser, SAMPLERS["euler"], randn(4, 2), times, BlockNoise(0), condition))
    # The exact denoiser and the classifier have no network here, and count as if they had.
    without = {"exact": 3, "classifier_guided": 6 if conditioned else 0}
    assert frames[-1].evaluations == len(runs) + without.get(name, 0)


def triples(samplers):
    """Every schedule × prediction × sampler that there is, of these samplers."""
    return [(s, p, name) for (s, p), name in product(PAIRS, samplers) if (s, name) in WALKS]


@pytest.mark.parametrize(
    ("schedule_name", "prediction_name", "name"),
    triples([name for name in SAMPLERS if name not in BETWEEN]),
)
def test_what_is_predicted_does_not_change_the_sample(schedule_name, prediction_name, name):
    (schedule, prediction), sampler = pair(schedule_name, prediction_name), SAMPLERS[name]
    mixture = gaussian(MEAN, COVARIANCE)
    times = LogSNRGrid().times(4, schedule)
    network = OracleNetwork(mixture, schedule, prediction, times)
    x = schedule.prior_std * randn(3, 3)
    noise = FixedNoise(randn(3, 3, seed=1))
    sample = last_x(NetworkDenoiser(network, schedule, prediction), sampler, x, times, noise)
    # The solve may lose four digits (LARGEST_AMPLIFICATION) at each of four steps, hence 1e-9.
    close(sample, last_x(ExactDenoiser(mixture, schedule), sampler, x, times, noise), rtol=1e-9, atol=1e-9)


class AsItIs:
    """A view that shows x_t and t themselves, so that a network in closed form is exact at every time."""

    def show(self, x_t, level):
        return x_t, level.t.expand(len(x_t))


# An adaptive solver takes hundreds of steps where a list of levels has corners.
SWIFT = [triple for triple in triples(BETWEEN) if triple[2] == "churn" or triple[0] in SMOOTH]


@pytest.mark.parametrize(("schedule_name", "prediction_name", "name"), SWIFT)
def test_nor_where_a_sampler_asks_between_the_times_of_its_grid(schedule_name, prediction_name, name):
    (schedule, prediction), mixture = pair(schedule_name, prediction_name), gaussian(MEAN, COVARIANCE)
    exact = ExactDenoiser(mixture, schedule)

    def network(x_t, t, condition):
        estimate = exact.estimate(x_t, t)
        return prediction.row(schedule.level(t)).of(estimate.x0, estimate.eps)

    times = LogSNRGrid().times(3, schedule)
    x, noise = schedule.prior_std * randn(3, 3), FixedNoise(randn(3, 3, seed=1))
    sample = last_x(NetworkDenoiser(network, schedule, prediction, AsItIs()), SAMPLERS[name], x, times, noise)
    # As above; an adaptive solver may also decide otherwise about a step that is just at its tolerance.
    tolerance = 1e-9 if name == "churn" else 1e-4
    close(sample, last_x(exact, SAMPLERS[name], x, times, noise), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", [name for name in DENOISERS if name != "exact"])
@pytest.mark.parametrize("sampler_name", SAMPLERS)
def test_samples_keep_the_precision_of_their_start(name, sampler_name):
    sampler = SAMPLERS[sampler_name]
    denoiser = DENOISERS[name](SCHEDULES[PARTICULAR.get(sampler_name, ("cosine_vp",))[0]])
    times = torch.linspace(1, 0, 4, dtype=torch.float64)
    condition = Condition.of(label=torch.arange(2))
    noise = FixedNoise(number(0.5))
    for frame in sample_frames(denoiser, sampler, randn(2, 2).float(), times, noise, condition):
        assert frame.x.dtype == frame.x0.dtype == torch.float32

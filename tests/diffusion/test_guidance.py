"""Guidance: off is the conditional model to the bit, and everything else is linear in the weight."""

import pytest
import torch

from sfumato.condition import Condition
from sfumato.diffusion.guidance import ClassifierFree
from sfumato.diffusion.schedules import LinearVP
from sfumato.errors import ConfigError
from sfumato.verify.pieces import DENOISERS

from .helpers import close, number, randn

DENOISER = DENOISERS["network"](LinearVP())
CONDITION = Condition.of(label=torch.arange(3))
X_T, T = randn(3, 4), number(0.6)
CONDITIONAL = DENOISER.estimate(X_T, T, CONDITION)
FREE = DENOISER.estimate(X_T, T, CONDITION.drop_all())


def guided(weight, interval=(0.0, 1.0), condition=CONDITION):
    return ClassifierFree(DENOISER, weight, interval).estimate(X_T, T, condition)


def same(one, other):
    return torch.equal(one.x0, other.x0) and torch.equal(one.eps, other.eps)


def test_the_stand_in_depends_on_its_condition():
    assert not same(CONDITIONAL, FREE)


def test_weight_1_is_the_conditional_model():
    assert same(guided(1.0), CONDITIONAL)


def test_weight_0_is_the_free_model():
    assert same(guided(0.0), FREE)


@pytest.mark.parametrize("weight", [-0.5, 2.0, 7.5])
def test_the_estimate_is_linear_in_the_weight(weight):
    for field in ("x0", "eps"):
        free, conditional = getattr(FREE, field), getattr(CONDITIONAL, field)
        close(getattr(guided(weight), field), (1 - weight) * free + weight * conditional)


@pytest.mark.parametrize(
    ("interval", "acts"),
    [((0.0, 0.5), False), ((0.7, 1.0), False), ((0.5, 0.7), True), ((0.6, 0.7), True), ((0.5, 0.6), True)],
)
def test_outside_its_interval_the_conditional_model_stands_alone(interval, acts):
    assert same(guided(3.0, interval), CONDITIONAL) == (not acts)
    assert ClassifierFree(DENOISER, 3.0, interval).evaluations(0.6, CONDITION) == (2 if acts else 1)


def test_off_runs_the_network_once():
    assert ClassifierFree(DENOISER, 1.0).evaluations(0.6, CONDITION) == 1
    assert ClassifierFree(ClassifierFree(DENOISER, 2.0), 2.0).evaluations(0.6, CONDITION) == 4


def test_without_a_condition_there_is_nothing_to_lean_to():
    assert same(guided(3.0, condition=None), DENOISER.estimate(X_T, T, None))


def test_rows_that_were_dropped_stay_free():
    mixed = CONDITION.drop(torch.tensor([True, False, False]))
    estimate = guided(3.0, condition=mixed)
    close(estimate.x0[0], FREE.x0[0])
    close(estimate.x0[1:], guided(3.0).x0[1:])


@pytest.mark.parametrize("interval", [(0.5, 0.5), (0.8, 0.2), (-0.1, 0.5), (0.5, 1.1)])
def test_bad_intervals_are_refused(interval):
    with pytest.raises(ConfigError, match="interval"):
        ClassifierFree(DENOISER, 2.0, interval)

"""Guidance by several conditions: what it telescopes to, what it leads away from, and what it costs."""

from dataclasses import replace

import pytest
import torch

from sfumato.condition import Condition
from sfumato.diffusion.denoiser import NetworkDenoiser
from sfumato.diffusion.guidance import ClassifierFree, GuidedByEach
from sfumato.diffusion.prediction import V
from sfumato.diffusion.schedules import LinearVP

from .helpers import close, number, randn

ROWS = 3
CONDITION = Condition.of(label=torch.arange(ROWS), text=torch.arange(ROWS) + 5)
X_T, T = randn(ROWS, 4), number(0.6)


class Counted:
    """A network that depends on both conditions, not additively, and counts its runs."""

    def __init__(self) -> None:
        self.rows: list[int] = []

    def __call__(self, x, level, condition):
        self.rows.append(len(x))
        a, b = (
            torch.where(condition.dropped[name], torch.zeros(()), condition.values[name] + 1.0)
            for name in ("label", "text")
        )
        return 0.5 * x + (0.1 * a + 0.2 * b + 0.3 * a * b)[:, None]


def denoiser(network=None):
    return NetworkDenoiser(network or Counted(), LinearVP(), V())


def asked(weights, condition=CONDITION):
    return GuidedByEach(denoiser(), weights).estimate(X_T, T, condition)


def test_weights_of_1_are_the_conditional_model_bitwise():
    expected = denoiser().estimate(X_T, T, CONDITION)
    assert torch.equal(asked({"label": 1.0, "text": 1.0}).x0, expected.x0)


@pytest.mark.parametrize("weight", [0.0, 2.0, 7.5])
def test_equal_weights_are_classifier_free_guidance(weight):
    together = ClassifierFree(denoiser(), weight).estimate(X_T, T, CONDITION)
    # The same numbers, added in another order, in float32.
    close(asked({"label": weight, "text": weight}).eps, together.eps, 1e-5)


def test_each_addition_has_its_own_weight():
    one = denoiser()
    nothing, label, both = (
        one.estimate(X_T, T, condition).x0
        for condition in (CONDITION.drop_all(), CONDITION.without(("text",)), CONDITION)
    )
    expected = nothing + 2.0 * (label - nothing) + 5.0 * (both - label)
    close(asked({"label": 2.0, "text": 5.0}).x0, expected, 1e-5)


def test_what_has_no_weight_is_told_throughout():
    one = denoiser()
    label, both = (one.estimate(X_T, T, c).x0 for c in (CONDITION.without(("text",)), CONDITION))
    close(asked({"text": 3.0}).x0, label + 3.0 * (both - label), 1e-5)


def test_a_negative_prompt_takes_the_place_of_nothing():
    negative = replace(CONDITION, instead={"text": torch.zeros(ROWS, dtype=torch.int64)})
    one = denoiser()
    away = replace(CONDITION, values={**CONDITION.values, "text": torch.zeros(ROWS, dtype=torch.int64)})
    origin, aim = one.estimate(X_T, T, away.without(("label",))).x0, one.estimate(X_T, T, CONDITION).x0
    close(ClassifierFree(one, 4.0).estimate(X_T, T, negative).x0, origin + 4.0 * (aim - origin), 1e-5)
    assert torch.equal(ClassifierFree(one, 1.0).estimate(X_T, T, negative).x0, aim)


def test_a_negative_prompt_needs_no_prompt():
    negative = replace(CONDITION, instead={"text": torch.zeros(ROWS, dtype=torch.int64)}).drop(
        torch.ones(ROWS, dtype=torch.bool)
    )
    away = negative.without(negative.names)
    assert not bool(away.dropped["text"].any())
    assert bool(away.dropped["label"].all())
    one = denoiser()
    expected = one.estimate(X_T, T, negative).x0 + 3.0 * (
        one.estimate(X_T, T, negative).x0 - one.estimate(X_T, T, away).x0
    )
    close(ClassifierFree(one, 4.0).estimate(X_T, T, negative).x0, expected, 1e-4)


def test_guidance_costs_one_run_of_a_larger_batch():
    network = Counted()
    ClassifierFree(denoiser(network), 3.0).estimate(X_T, T, CONDITION)
    GuidedByEach(denoiser(network), {"label": 2.0, "text": 3.0}).estimate(X_T, T, CONDITION)
    assert network.rows == [2 * ROWS, 3 * ROWS]


def test_the_order_of_a_batch_does_not_matter():
    order = torch.tensor([2, 0, 1])
    guided = GuidedByEach(denoiser(), {"label": 2.0, "text": 3.0})
    turned = guided.estimate(X_T[order], T, CONDITION[order])
    assert torch.equal(turned.x0, guided.estimate(X_T, T, CONDITION).x0[order])

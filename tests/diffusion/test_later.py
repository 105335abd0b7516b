"""Fields made when first read: once, never before, and as they would have been made at once."""

import dataclasses

import pytest
import torch

from sfumato.diffusion.later import deferring, later


@deferring("heavy")
@dataclasses.dataclass(frozen=True)
class Parcel:
    light: int
    heavy: object
    rest: int = 3


class Counted:
    def __init__(self, value):
        self.value, self.calls = value, 0

    def __call__(self):
        self.calls += 1
        return self.value


def test_a_field_is_made_when_first_read_and_once():
    make = Counted([1])
    parcel = Parcel(1, later(make))
    assert (parcel.light, parcel.rest, make.calls) == (1, 3, 0)
    assert parcel.heavy is parcel.heavy is make.value
    assert make.calls == 1


def test_a_value_is_a_value():
    function = len
    assert Parcel(1, 5).heavy == 5
    assert Parcel(1, function).heavy is function


def test_a_dataclass_it_stays():
    one, other = Parcel(1, later(Counted(5))), Parcel(1, 5)
    assert one == other
    assert repr(one) == repr(other)
    assert dataclasses.replace(one, light=2) == Parcel(2, 5)
    assert dataclasses.replace(one, heavy=6) == Parcel(1, 6)
    with pytest.raises(dataclasses.FrozenInstanceError):
        one.heavy = 7


def test_each_object_has_its_own():
    first, second = Parcel(1, later(Counted(1))), Parcel(1, later(Counted(2)))
    assert (second.heavy, first.heavy) == (2, 1)


def test_it_is_made_with_gradients_where_they_were_wanted():
    x = torch.ones(2, requires_grad=True)
    with_gradient = Parcel(1, later(lambda: 2 * x))
    with torch.no_grad():
        without = Parcel(1, later(lambda: 2 * x))
        assert with_gradient.heavy.requires_grad
    assert not without.heavy.requires_grad


def test_an_inference_mode_leaves_no_trace_on_what_was_not_made_in_it():
    x = torch.ones(2, requires_grad=True)
    parcel = Parcel(1, later(lambda: 2 * x))
    with torch.inference_mode():
        assert parcel.heavy.requires_grad
        assert not parcel.heavy.is_inference()


def test_what_was_made_for_inference_has_no_gradient_and_may_be_changed():
    x = torch.ones(2, requires_grad=True)
    with torch.inference_mode():
        parcel = Parcel(1, later(lambda: 2 * x))
    assert not parcel.heavy.requires_grad
    parcel.heavy.add_(1)  # torch allows it of no tensor of an inference mode
    assert torch.equal(parcel.heavy, torch.full((2,), 3.0))

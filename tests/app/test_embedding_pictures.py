"""Maps and neighbours as pictures."""

import numpy as np
import pytest

from sfumato.app.pictures.embeddings import beside_neighbours, map_of
from sfumato.errors import DataError


def test_classes_are_named_where_they_lie() -> None:
    points = np.concatenate([np.full((30, 2), -1.0), np.full((30, 2), 1.0)])
    labels = np.repeat([0, 1], 30)
    named, unnamed = (np.asarray(map_of(points, labels, names)) for names in (["left", "right"], []))
    changed = np.argwhere((named != unnamed).any(2))
    # One name in the lower left, one in the upper right quarter, and nothing elsewhere.
    quarters = {(int(y > 320), int(x > 320)) for y, x in changed}
    assert quarters == {(1, 0), (0, 1)}


def test_many_classes_stay_unnamed() -> None:
    points = np.random.default_rng(0).normal(size=(60, 2))
    labels = np.arange(60) % 30
    names = [str(place) for place in range(30)]
    assert np.array_equal(np.asarray(map_of(points, labels, names)), np.asarray(map_of(points, labels)))


def test_a_row_shows_what_was_asked_and_then_its_neighbours() -> None:
    asked = np.full((2, 1, 8, 8), 10, np.uint8)
    near = np.stack([np.full((3, 1, 8, 8), value, np.uint8) for value in (100, 200)])
    drawn = np.asarray(beside_neighbours(asked, near))
    pitch = 64 + 3
    first = [int(drawn[35, 35 + column * pitch]) for column in range(4)]
    assert first == [10, 100, 100, 100]
    assert int(drawn[35 + pitch, 35 + pitch]) == 200
    with pytest.raises(DataError, match="neighbours"):
        beside_neighbours(asked, near[:1])

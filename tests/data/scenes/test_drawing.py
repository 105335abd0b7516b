"""Scenes: true to their sentences, never touching, and drawn so that sizes agree."""

from itertools import combinations

import numpy as np
import pytest

from sfumato.data.scenes import KINDS, Scene, Thing, draw, parse, sentences, stage
from sfumato.data.scenes.drawing import coverage
from sfumato.data.scenes.grammar import rng_for
from sfumato.data.scenes.shapes import SHAPES
from sfumato.data.scenes.words import (
    COLOURS,
    GAP,
    GREYS,
    JITTER,
    MARGIN,
    PLACES,
    RELATIONS,
    SIZES,
    SLANT,
)


@pytest.fixture(scope="module")
def staged() -> list[tuple[str, Scene]]:
    texts = [text for kind in KINDS for text in sentences(kind, 150, seed=3)]
    texts += ["three large red crosses", "a large red circle above a large black square"]
    rng = rng_for(3, "test")
    return [(text, stage(parse(text), rng)) for text in texts]


def test_a_scene_is_as_its_sentence_says(staged: list[tuple[str, Scene]]) -> None:
    for text, scene in staged:
        sentence = parse(text)
        assert len(scene.things) == len(sentence.slots)
        for thing, slot in zip(scene.things, sentence.slots, strict=True):
            assert (thing.shape, thing.colour) == (slot.shape, slot.colour)
            bands = [SIZES[slot.size]] if slot.size else list(SIZES.values())
            assert any(low <= thing.radius <= high for low, high in bands)
            if slot.place:
                x, y = PLACES[slot.place]
                assert max(abs(thing.x - x), abs(thing.y - y)) <= JITTER
        if sentence.relation:
            first, second = scene.things
            step = np.array([second.x - first.x, second.y - first.y])
            right, down = RELATIONS[sentence.relation]
            assert step @ (right, down) >= first.radius + second.radius + GAP
            assert abs(step @ (down, right)) <= SLANT


def test_things_are_whole_and_apart(staged: list[tuple[str, Scene]]) -> None:
    tiny = 1e-12  # of rounding
    for _, scene in staged:
        assert GREYS[0] <= scene.grey <= GREYS[1]
        for thing in scene.things:
            for middle in (thing.x, thing.y):
                assert MARGIN - tiny <= middle - thing.radius
                assert middle + thing.radius <= 1 - MARGIN + tiny
        for one, other in combinations(scene.things, 2):
            distance = max(abs(one.x - other.x), abs(one.y - other.y))
            assert distance >= one.radius + other.radius + GAP - tiny


def test_what_is_left_open_varies() -> None:
    rng = rng_for(0, "test")
    scenes = [stage(parse("a red circle"), rng) for _ in range(200)]
    radii = np.array([scene.things[0].radius for scene in scenes])
    middles = np.array([[scene.things[0].x, scene.things[0].y] for scene in scenes])
    # Half are large: 100 of 200, within 4 standard deviations of 7.
    assert abs((radii > 5.2 / 32).sum() - 100) <= 28
    # Even over at least 0.56 of the side: standard deviation 0.56/√12 or more, less what 200 draws may miss.
    assert middles.std(0).min() > 0.14


@pytest.mark.parametrize("shape", SHAPES)
def test_coverage_is_the_area_and_the_centroid_of_the_shape(shape: str) -> None:
    for x, y, radius, size in ((0.5, 0.5, 0.2, 32), (0.311, 0.627, 0.1337, 32), (0.4, 0.45, 0.3, 48)):
        share = coverage(shape, x, y, radius, size)
        middles = (np.arange(size) + 0.5) / size
        ideal = SHAPES[shape]
        assert share.min() >= 0
        assert share.max() <= 1 + 1e-12
        # Scan lines are 1/256 of the side or less apart, and the arms of a cross begin at whole lines.
        rounding = 0.03 if shape == "cross" else 0.003
        assert share.sum() / size**2 == pytest.approx(ideal.area * radius**2, rel=rounding)
        # What is half covered counts at the middle of its pixel, on either side alike but for rounding.
        assert share.sum(0) @ middles / share.sum() == pytest.approx(x, abs=1e-3)
        assert share.sum(1) @ middles / share.sum() == pytest.approx(y + ideal.centroid * radius, abs=2e-3)


def test_shapes_by_hand() -> None:
    """At 9 × 9 a shape of radius 1/2 fills the picture; corner, side and centre say which it is."""
    corner, side, centre = (0, 0), (4, 0), (4, 4)
    found = {
        name: [round(float(coverage(name, 0.5, 0.5, 0.5, 9)[place]), 1) for place in (corner, side, centre)]
        for name in SHAPES
    }
    assert found["square"] == [1, 1, 1]
    assert found["cross"] == [0, 1, 1]
    assert found["circle"][0] == 0
    assert found["circle"][1] > 0.8
    assert found["triangle"][:2] == [0, 0]
    lowest, highest = coverage("triangle", 0.5, 0.5, 0.5, 9)[[-1, 0]]
    assert lowest.min() > 0.4
    assert highest.max() < 0.6


@pytest.mark.parametrize(("large", "small"), [(64, 32), (128, 64), (32, 16), (96, 48)])
def test_a_picture_averaged_two_by_two_is_the_smaller_one(
    staged: list[tuple[str, Scene]], large: int, small: int
) -> None:
    for _, scene in staged[::10]:
        fine = draw(scene, large).astype(float)
        averaged = fine.reshape(3, small, large // small, small, large // small).mean((2, 4))
        # Both are rounded to whole numbers, each by at most a half.
        assert np.abs(averaged - draw(scene, small)).max() <= 1


def test_pixels_are_the_colours_they_should_be() -> None:
    scene = Scene((Thing("square", "blue", 0.5, 0.5, 0.25),), 230.0)
    pixels = draw(scene, 32)
    assert pixels.dtype == np.uint8
    assert tuple(pixels[:, 16, 16]) == COLOURS["blue"]
    assert (pixels[:, :8] == 230).all()
    assert (pixels[:, 8:24, 8:24] == np.array(COLOURS["blue"])[:, None, None]).all()

"""The checker of scenes: right about what was drawn, however soft, and never talked into what was not."""

from collections.abc import Callable
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from sfumato.data.scenes import KINDS, Phrase, Scene, Sentence, Thing, draw, parse, sentences, stage
from sfumato.data.scenes.grammar import rng_for
from sfumato.data.scenes.shapes import SHAPES
from sfumato.data.scenes.words import COLOURS, PLACES
from sfumato.errors import ConfigError, DataError
from sfumato.metrics.scene_checker import ASPECTS, Seen, check, judge, see, variety
from sfumato.metrics.scene_checker.components import label
from sfumato.metrics.scene_checker.mixing import unmix
from sfumato.nets import filters
from sfumato.randomness import generator

COUNT = 200


def drawn(texts: tuple[str, ...], size: int, seed: int = 0) -> Tensor:
    rng = rng_for(seed, "test of the checker")
    return torch.from_numpy(np.stack([draw(stage(parse(text), rng), size) for text in texts]))


@pytest.fixture(scope="module")
def texts() -> tuple[str, ...]:
    return tuple(text for kind in KINDS for text in sentences(kind, COUNT // 2, seed=7))


@pytest.fixture(scope="module")
def pictures(texts: tuple[str, ...]) -> Tensor:
    return drawn(texts, 32)


def blurred(pictures: Tensor, sigma: float = 0.7) -> Tensor:
    return filters.apply(filters.gaussian(sigma=sigma), pictures.float()).round().clamp(0, 255).byte()


def noisy(pictures: Tensor, std: float = 10.0) -> Tensor:
    noise = torch.randn(pictures.shape, generator=generator(0, "checker"))
    return (pictures + std * noise).round().clamp(0, 255).byte()


def compressed(pictures: Tensor) -> Tensor:
    """Save as JPEG, whose colours are half as fine as its brightness, and read again."""
    found = []
    for picture in pictures:
        file = BytesIO()
        Image.fromarray(picture.permute(1, 2, 0).contiguous().numpy()).save(file, "JPEG", quality=90)
        found.append(torch.from_numpy(np.array(Image.open(file))).permute(2, 0, 1))
    return torch.stack(found)


@pytest.mark.parametrize("size", [32, 64])
def test_what_is_drawn_is_right(texts: tuple[str, ...], size: int) -> None:
    checked = check(drawn(texts, size), texts)
    assert checked.all.double().mean() >= 0.995
    assert checked.shares.keys() == {*ASPECTS, "all"}


@pytest.mark.parametrize(
    "change",
    [blurred, noisy, compressed, lambda x: noisy(blurred(x)), lambda x: blurred(x, 1.0)],
    ids=["blurred", "noisy", "compressed", "blurred and noisy", "blurred by a pixel"],
)
def test_it_stays_right_where_pictures_are_not_clean(
    pictures: Tensor, texts: tuple[str, ...], change: Callable[[Tensor], Tensor]
) -> None:
    assert check(change(pictures), texts).all.double().mean() >= 0.99


def test_others_sentences_are_wrong(pictures: Tensor, texts: tuple[str, ...]) -> None:
    """Chance is about one in 250: some sentence is true of another's picture now and then."""
    others = texts[1:] + texts[:1]
    assert check(pictures, others).all.double().mean() <= 0.03


def following(words: object, word: str) -> str:
    choices = list(words)  # type: ignore[call-overload]
    return choices[(choices.index(word) + 1) % len(choices)]


def altered(phrase: Phrase, **words: str | int) -> Sentence:
    return Sentence(replace(phrase, **words))  # type: ignore[arg-type]


# aspect -> a sentence that differs in it alone, or None where it cannot
ALTERATIONS: dict[str, Callable[[Sentence], Sentence | None]] = {
    "colour": lambda of: (
        replace(of, first=replace(of.first, colour=following(COLOURS, of.phrases[-1].colour)))
        if of.first.colour != following(COLOURS, of.phrases[-1].colour)
        else None
    ),
    "shape": lambda of: altered(of.first, shape=following(SHAPES, of.first.shape)) if not of.second else None,
    "size": lambda of: (
        altered(of.first, size=following(("small", "large"), of.first.size)) if of.first.size else None
    ),
    "position": lambda of: (
        altered(of.first, place=following(PLACES, of.first.place)) if of.first.place else None
    ),
    "relation": lambda of: Sentence(of.second, of.relation, of.first) if of.second else None,
    "count": lambda of: altered(of.first, count=5 - of.first.count) if of.first.count > 1 else None,
}


@pytest.mark.parametrize("aspect", ASPECTS)
def test_a_sentence_with_one_thing_wrong_is_wrong_in_that(
    pictures: Tensor, texts: tuple[str, ...], aspect: str
) -> None:
    changed = [(row, ALTERATIONS[aspect](parse(text))) for row, text in enumerate(texts)]
    rows = [row for row, sentence in changed if sentence is not None]
    assert len(rows) >= 20
    checked = check(pictures[rows], [str(sentence) for _, sentence in changed if sentence is not None])
    assert checked.shares[aspect] == 0
    if aspect in ("size", "position", "relation"):  # the other words stay right
        assert (checked.shares["colour"], checked.shares["shape"]) == (1, 1)


def test_it_measures_what_was_drawn(pictures: Tensor) -> None:
    texts = ("a red circle", "a yellow square", "a blue triangle", "a purple cross")
    rng = rng_for(1, "test")
    for text in texts:
        scene = stage(parse(text), rng)
        ((seen,),) = see(torch.from_numpy(draw(scene, 64))[None])
        (thing,) = scene.things
        assert (seen.shape, seen.colour) == (thing.shape, thing.colour)
        # A tenth of a pixel of 64: rounding to 256 levels and scan lines a quarter of a pixel apart.
        assert (seen.x, seen.y, seen.radius) == pytest.approx((thing.x, thing.y, thing.radius), abs=0.1 / 64)


def test_shares_of_a_blend_add_up() -> None:
    """A pixel that is three tenths green and else background says so, whatever the background."""
    for grey in (200, 255):
        picture = torch.full((1, 3, 16, 16), grey, dtype=torch.uint8)
        colour = torch.tensor(COLOURS["green"])
        picture[0, :, 8, 8] = (0.3 * colour + 0.7 * grey).round().byte()
        picture[0, :, 4, 4] = colour.byte()
        mixture = unmix(picture)
        place = list(COLOURS).index("green")
        # Rounding to 256 levels over a distance of about 200.
        assert float(mixture.share[0, place, 8, 8]) == pytest.approx(0.3, abs=0.01)
        assert mixture.solid.nonzero().tolist() == [[0, place, 4, 4]]


def test_what_has_another_colour_is_no_thing() -> None:
    picture = torch.full((1, 3, 32, 32), 230, dtype=torch.uint8)
    picture[0, :, 8:20, 8:20] = torch.tensor([150, 230, 255], dtype=torch.uint8)[:, None, None]
    assert see(picture) == [()]


def test_a_blot_has_a_colour_and_no_shape() -> None:
    picture = torch.full((1, 3, 32, 32), 230, dtype=torch.uint8)
    picture[0, :, 4:6, 4:28] = 25
    picture[0, :, 4:28, 4:6] = 25
    ((seen,),) = see(picture)
    assert (seen.shape, seen.colour) == (None, "black")


def test_components_touch_at_corners_too() -> None:
    mask = torch.tensor([[[1, 0, 0, 1], [0, 1, 0, 1], [0, 0, 0, 0], [1, 1, 1, 1]], [[0] * 4] * 4]).bool()
    labels = label(mask)
    groups = [
        {tuple(place) for place in (labels[0] == n).nonzero().tolist()} for n in labels[0].unique() if n
    ]
    assert sorted(map(sorted, groups)) == [
        [(0, 0), (1, 1)],
        [(0, 3), (1, 3)],
        [(3, 0), (3, 1), (3, 2), (3, 3)],
    ]
    assert not labels[1].any()


def thing(shape: str, colour: str, x: float, y: float, radius: float = 0.13) -> Seen:
    return Seen(shape, colour, x, y, radius)


def test_the_order_of_things_does_not_matter() -> None:
    left, right = thing("circle", "red", 0.3, 0.5), thing("square", "blue", 0.7, 0.5)
    sentence = parse("a red circle left of a blue square")
    everything = {"colour": True, "shape": True, "relation": True, "count": True}
    assert judge([left, right], sentence) == judge([right, left], sentence) == everything
    swapped = judge([left, right], parse("a blue square left of a red circle"))
    assert swapped == everything | {"relation": False}


def test_words_bound_to_the_wrong_thing_are_wrong() -> None:
    """A red square and a blue circle are no red circle and blue square."""
    things = [thing("square", "red", 0.3, 0.5), thing("circle", "blue", 0.7, 0.5)]
    verdict = judge(things, parse("a red circle left of a blue square"))
    assert verdict == {"colour": True, "shape": False, "relation": True, "count": True}


def test_too_many_and_too_few() -> None:
    circle = thing("circle", "red", 0.5, 0.5)
    more = [circle, thing("circle", "red", 0.2, 0.2), thing("square", "blue", 0.8, 0.8)]
    assert judge(more, parse("a red circle in the centre")) == {
        "colour": True,
        "shape": True,
        "position": True,
        "count": False,
    }
    assert judge([circle], parse("two red circles")) == {"colour": False, "shape": False, "count": False}
    assert judge([], parse("a red circle")) == {"colour": False, "shape": False, "count": False}


def test_the_table_counts_what_was_asked() -> None:
    scene = Scene((Thing("circle", "red", 0.5, 0.5, 0.2),), 230.0)
    picture = torch.from_numpy(draw(scene, 32))[None].repeat(3, 1, 1, 1)
    checked = check(picture, ["a red circle", "a large red circle", "a red square"])
    assert checked.shares == pytest.approx({"colour": 1, "shape": 2 / 3, "size": 1, "count": 1, "all": 2 / 3})
    assert ("shape", "66.7% of 3") in checked.rows()
    assert ("size", "100.0% of 1") in checked.rows()


def test_variety_by_hand() -> None:
    white, black = (torch.full((1, 3, 16, 16), level, dtype=torch.uint8) for level in (255, 0))
    both = torch.cat([white, black, white, white])
    assert variety(both[:2], ["a red circle"] * 2) == pytest.approx(1)
    assert variety(both[2:], ["a red circle"] * 2) == 0
    # Of the pairs of three, two differ; sentences count alike, and one picture alone says nothing.
    assert variety(both[:3], ["a red circle"] * 3) == pytest.approx(2 / 3)
    assert variety(both, ["a", "a", "b", "b"]) == pytest.approx(0.5)
    assert variety(both[:3], ["a", "a", "b"]) == pytest.approx(1)
    with pytest.raises(DataError, match="one picture only"):
        variety(both[:2], ["a", "b"])


def test_what_a_sentence_leaves_open_shows_as_variety() -> None:
    closed, open_ = "a small red circle in the centre", "a red circle"
    assert variety(drawn((closed,) * 20, 32), [closed] * 20) < variety(drawn((open_,) * 20, 32), [open_] * 20)


@pytest.mark.parametrize(
    ("shape", "dtype", "count"),
    [
        ((2, 1, 32, 32), torch.uint8, 2),
        ((2, 3, 32, 16), torch.uint8, 2),
        ((2, 3, 8, 8), torch.uint8, 2),
        ((2, 3, 32, 32), torch.float32, 2),
        ((0, 3, 32, 32), torch.uint8, 0),
        ((2, 3, 32, 32), torch.uint8, 1),
    ],
)
def test_wrong_use_says_so(shape: tuple[int, ...], dtype: torch.dtype, count: int) -> None:
    with pytest.raises(DataError, match=r"give one or more as uint8|need 2 sentences"):
        check(torch.zeros(shape, dtype=dtype), ["a red circle"] * count)


def test_a_sentence_that_is_none_is_named() -> None:
    with pytest.raises(ConfigError, match="'a dog' is no sentence"):
        check(torch.zeros(1, 3, 32, 32, dtype=torch.uint8), ["a dog"])

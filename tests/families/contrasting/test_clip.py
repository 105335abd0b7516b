"""CLIP: what it learns from captions, that both sides share one space, and what it refuses."""

import math
from dataclasses import replace

import pytest
import torch
from accelerate import Accelerator
from torch import Tensor

from sfumato.condition import Condition
from sfumato.errors import ConfigError
from sfumato.families.agreements import (
    Autoencoder,
    Batch,
    DataFacts,
    Encoder,
    Measured,
    TextEncoder,
    TextFacts,
)
from sfumato.families.contrasting.augmentations import CutOut, Moved, Tinted
from sfumato.families.contrasting.clip import (
    CAPTIONS_FOUND,
    CLIP,
    PICTURES_FOUND,
    TEMPERATURE,
    PictureAndText,
)
from sfumato.train.budget import Budget
from sfumato.train.loop import Fit, FitSettings
from sfumato.train.muon import Muon
from sfumato.train.signals import StopRequest

TINY = CLIP(embedding=16, widths=(16, 16, 16), width=32, layers=1)
COLOURS = torch.tensor([[1.0, -1, -1], [-1, 1, -1], [-1, -1, 1], [1, 1, -1]])
FACTS = DataFacts((3, 8, 8), 0, (-1.0, 1.0), 0.8, TextFacts(vocabulary=3 + 4 + 4, length=5))


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def built(design: CLIP = TINY, facts: DataFacts = FACTS) -> PictureAndText:
    with torch.random.fork_rng():
        torch.random.default_generator.manual_seed(0)
        return design.build(facts)


def quadrants(colour: Tensor, corner: Tensor) -> Batch:
    """Return dark pictures with one quarter in a colour, and "colour corner" as tokens."""
    x = torch.full((len(colour), 3, 8, 8), -1.0)
    for row, (hue, place) in enumerate(zip(colour.tolist(), corner.tolist(), strict=True)):
        down, across = 4 * (place // 2), 4 * (place % 2)
        x[row, :, down : down + 4, across : across + 4] = COLOURS[hue][:, None, None]
    ones = torch.ones_like(colour)
    tokens = torch.stack([ones, 3 + colour, 7 + corner, 2 * ones, 0 * ones], 1)
    return Batch(x, Condition.of(text=tokens))


def everything() -> Batch:
    """Return all sixteen sentences, each with its picture."""
    both = torch.arange(16)
    return quadrants(both // 4, both % 4)


def some(rows: Tensor) -> Batch:
    return quadrants(rows % 4, rows // 4 % 4)


def draws(family: PictureAndText, rows: int) -> dict[str, Tensor]:
    return dict(family.draw(rows, (3, 8, 8), generator()))


@pytest.fixture(scope="module")
def learned() -> PictureAndText:
    family = built()
    settings = FitSettings(32, Muon(), learning_rate=1e-2, warmup=5, clip=1.0, seed=0, precision="fp32")
    # Sixteen sentences, so that a batch of 32 holds each of them twice.
    fit = Fit(family, 512, some, (3, 8, 8), settings, Accelerator(cpu=True))
    for _ in fit.run(Budget("steps", 60), StopRequest()):
        pass
    return family


def test_it_encodes_pictures_and_sentences_and_can_be_measured() -> None:
    family = built()
    assert isinstance(family, Encoder)
    assert isinstance(family, TextEncoder)
    assert isinstance(family, Measured)
    assert not isinstance(family, Autoencoder)


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 9, 13), (3, 48, 50), (2,)])
def test_any_data_with_captions_gets_embeddings_and_a_loss(shape: tuple[int, ...]) -> None:
    family = built(facts=replace(FACTS, shape=shape))
    batch = Batch(torch.rand(4, *shape, generator=generator()), Condition.of(text=everything_tokens()[:4]))
    assert family.encode(batch.examples, None).shape == (4, 16)
    loss = family.loss(batch, family.draw(4, shape, generator()))
    assert loss.shape == (4,)
    loss.mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in family.module.parameters())


def everything_tokens() -> Tensor:
    condition = everything().condition
    assert condition is not None
    return condition.values["text"]


def test_both_sides_lie_on_the_unit_sphere(learned: PictureAndText) -> None:
    images, texts = learned.encode(everything().examples), learned.encode_text(everything_tokens())
    for codes in (images, texts):
        assert codes.dtype == torch.float32
        assert torch.allclose(codes.norm(dim=1), torch.ones(16), atol=1e-6)


def test_an_embedding_does_not_depend_on_its_neighbours(learned: PictureAndText) -> None:
    x, tokens = everything().examples, everything_tokens()
    images, texts = learned.encode(x), learned.encode_text(tokens)
    for row in range(0, 16, 5):
        # The order of float32 sums may differ with the size of a batch.
        assert torch.allclose(learned.encode(x[row : row + 1])[0], images[row], atol=1e-5)
        assert torch.allclose(learned.encode_text(tokens[row : row + 1])[0], texts[row], atol=1e-5)


def test_training_finds_the_caption_of_a_picture_and_the_picture_of_a_caption(
    learned: PictureAndText,
) -> None:
    before, after = (family.measures(everything(), draws(family, 16)) for family in (built(), learned))
    for way in (CAPTIONS_FOUND, PICTURES_FOUND):
        assert before[way] < 50  # chance is a sixteenth
        assert after[way] == 100


def test_codes_obey_each_word(learned: PictureAndText) -> None:
    """Of the captions with another colour or another corner, none is nearer to a picture than its own."""
    similarities = learned.encode(everything().examples) @ learned.encode_text(everything_tokens()).T
    assert similarities.argmax(1).tolist() == list(range(16))
    assert similarities.argmax(0).tolist() == list(range(16))


def test_equal_captions_in_a_batch_are_no_rivals(learned: PictureAndText) -> None:
    twice = some(torch.arange(32))
    measured = learned.measures(twice, draws(learned, 32))
    assert measured[CAPTIONS_FOUND] == 100
    same = quadrants(torch.zeros(4).long(), torch.zeros(4).long())
    assert learned.loss(same, draws(learned, 4)).tolist() == [0.0] * 4


def test_more_padding_changes_no_code(learned: PictureAndText) -> None:
    tokens = everything_tokens()
    assert torch.allclose(learned.encode_text(tokens[:, :4]), learned.encode_text(tokens), atol=1e-6)


def test_the_temperature_is_learned_and_capped() -> None:
    family = built(replace(TINY, temperature=0.2))
    assert family.module.scale.item() == pytest.approx(5, rel=1e-6)
    batch, drawn = everything(), draws(family, 16)
    family.loss(batch, drawn).mean().backward()
    assert float(family.module.log_scale.grad) != 0  # type: ignore[arg-type]
    with torch.no_grad():
        family.module.log_scale.fill_(7.0)
    (player,) = family.players()
    assert player.after is not None
    player.after(batch, drawn)
    assert family.module.log_scale.item() == pytest.approx(math.log(100), rel=1e-6)
    assert family.measures(batch, drawn)[TEMPERATURE] == pytest.approx(0.01, rel=1e-4)


def test_draws_decide_the_loss_and_nothing_else_does() -> None:
    family, batch = built(), everything()
    assert torch.equal(family.loss(batch, draws(family, 16)), family.loss(batch, draws(family, 16)))
    other = family.draw(16, (3, 8, 8), generator(1))
    assert not torch.equal(family.loss(batch, draws(family, 16)), family.loss(batch, other))
    assert all(len(value) == 16 for value in other.values())


def test_no_augmentation_takes_from_a_picture_what_words_say_of_it() -> None:
    pieces = built().views.pieces
    assert not any(isinstance(piece, Tinted | CutOut) for piece in pieces)
    (moved,) = (piece for piece in pieces if isinstance(piece, Moved))
    assert (moved.mirror, moved.turn) == (0, 0)
    still = built(replace(TINY, strength=0.0))
    batch = everything()
    # Resampling rounds, in places where four weights should be 0 and 1.
    assert torch.allclose(still.views(batch.examples, draws(still, 16)), batch.examples, atol=1e-5)


def test_averaged_modules_take_the_place_of_the_networks(learned: PictureAndText) -> None:
    swapped = built().with_modules({"encoder": learned.module})
    x, tokens = everything().examples, everything_tokens()
    assert torch.equal(swapped.encode(x), learned.encode(x))
    assert torch.equal(swapped.encode_text(tokens), learned.encode_text(tokens))


def test_without_captions_it_says_so() -> None:
    with pytest.raises(ConfigError, match="captions"):
        built(facts=replace(FACTS, text=None))
    family = built()
    for condition in (None, Condition.of(label=torch.zeros(16).long())):
        with pytest.raises(ConfigError, match="captions"):
            family.loss(Batch(everything().examples, condition), draws(family, 16))


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("temperature", 0.001),
        ("temperature", math.nan),
        ("strength", 3.0),
        ("widths", ()),
        ("embedding", 0),
        ("width", 0),
        ("layers", -1),
    ],
)
def test_impossible_options_are_refused(option: str, value: object) -> None:
    with pytest.raises(ConfigError, match="embedding" if option in ("widths", "width", "layers") else option):
        replace(TINY, **{option: value})

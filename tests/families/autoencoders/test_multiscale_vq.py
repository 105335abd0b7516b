"""The multi-scale tokenizer as a family: its maps, what their tokens stand for, and its training."""

from dataclasses import replace

import pytest
import torch
from accelerate import Accelerator
from torch import Tensor

from sfumato.data import load_data
from sfumato.data.scaling import Pixels
from sfumato.errors import ConfigError
from sfumato.families.agreements import UNKNOWN, Batch, DataFacts, Generator, Measured, PictureTokenizer
from sfumato.families.autoencoders.multiscale_vq import (
    MOST_TOKENS,
    MultiScaleQuantised,
    MultiScaleVQ,
    sides_for,
)
from sfumato.nets.quantiser import DEAD
from sfumato.randomness import generator
from sfumato.train.budget import Budget
from sfumato.train.loop import Fit, FitSettings
from sfumato.train.optimiser import AdamW
from sfumato.train.signals import StopRequest

PICTURES = DataFacts((1, 8, 8), bounds=(-1.0, 1.0))


def fresh(facts: DataFacts = PICTURES, **options: object) -> MultiScaleQuantised:
    """Build a small one whose weights are always the same."""
    with torch.random.fork_rng():
        torch.random.set_rng_state(generator(0, "weights").get_state())
        design = MultiScaleVQ(**{"codes": 16, "depth": 4, "width": 16, **options})  # type: ignore[arg-type]
        made = design.build(facts)
    assert isinstance(made, MultiScaleQuantised)
    return made


def pictures(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=generator(0, "x")) * 2 - 1


def test_it_is_a_tokenizer_and_no_generator() -> None:
    model = fresh()
    assert isinstance(model, PictureTokenizer)
    assert isinstance(model, Measured)
    assert not isinstance(model, Generator)


def test_maps_grow_from_one_token_to_the_grid() -> None:
    assert sides_for((7, 7)) == (1, 2, 3, 4, 7)
    assert sides_for((8, 8)) == (1, 2, 4, 8)
    for height in range(1, 9):
        for width in range(1, 9):
            shape = (1, 4 * height - 1, 4 * width - 2)
            writing = fresh(replace(PICTURES, shape=shape)).writing
            assert writing.count <= MOST_TOKENS
            assert writing.maps[0] == (1, 1)
            areas = [h * w for h, w in writing.maps]
            assert areas == sorted(set(areas))


@pytest.mark.parametrize(
    ("shape", "maps"),
    [
        ((1, 8, 8), ((1, 1), (2, 2), (3, 3), (4, 4))),
        ((3, 32, 32), ((1, 1), (2, 2), (4, 4), (8, 8))),
        ((3, 17, 9), ((1, 1), (2, 2), (3, 2), (4, 3), (5, 3))),
    ],
)
def test_tokens_decode_to_what_training_sees(
    shape: tuple[int, ...], maps: tuple[tuple[int, int], ...]
) -> None:
    model, x = fresh(replace(PICTURES, shape=shape), decoder="logistic"), pictures(2, *shape)
    tokens = model.tokens(x)
    assert model.writing.maps == maps
    assert model.writing.vocabulary == 16
    assert tokens.shape == (2, model.writing.count)
    again = model.decode_tokens(tokens)
    assert again.shape == x.shape
    torch.testing.assert_close(again, model.likelihood.mean(model.module(x)[0]))
    # A code is the sum of the maps, and decodes as they do.
    z = model.encode(x, None)
    assert z.shape == (2, *model.latent_shape) == (2, 4, *maps[-1])
    assert torch.equal(model.decode(z, None), again)


@pytest.mark.parametrize("kept", [1, 2, 3, 4])
def test_rows_that_are_shown_few_maps_are_asked_for_the_whole_picture(kept: int) -> None:
    """Their loss is that of a picture decoded from tokens, the rest of which is unknown."""
    model, x = fresh(decoder="fixed-gaussian", std=1.0), pictures(3, 1, 8, 8)
    tokens = model.tokens(x)
    tokens[:, sum(h * w for h, w in model.writing.maps[:kept]) :] = UNKNOWN
    squares = (model.decode_tokens(tokens) - x).square().flatten(1).sum(1)
    draws = {"kept": torch.full((3,), kept)}
    cost = model.module(x)[1]
    nats = model.loss(Batch(x, None), draws) - cost
    torch.testing.assert_close(nats, 0.5 * squares + 32 * torch.log(torch.tensor(2 * torch.pi)))


def test_how_many_maps_are_shown_is_drawn_evenly_for_the_share_that_is_cut() -> None:
    def kept(truncated: float) -> Tensor:
        draws = fresh(truncated=truncated).draw(8000, (1, 8, 8), generator(1, "draws"))
        return torch.bincount(draws["kept"], minlength=5).double() / 8000

    assert kept(0.0).tolist() == [0, 0, 0, 0, 1]
    # Five standard deviations of a share of 8,000 draws are below 0.03.
    expected = torch.tensor([0, 0.25, 0.25, 0.25, 0.25], dtype=torch.float64)
    torch.testing.assert_close(kept(1.0), expected, atol=0.03, rtol=0)
    expected = torch.tensor([0, 0.1, 0.1, 0.1, 0.7], dtype=torch.float64)
    torch.testing.assert_close(kept(0.4), expected, atol=0.03, rtol=0)


def test_sides_and_shares_that_cannot_be_are_refused() -> None:
    with pytest.raises(ConfigError, match="sides must grow"):
        MultiScaleVQ(sides=(1, 3, 2))
    with pytest.raises(ConfigError, match="sides must grow"):
        MultiScaleVQ(sides=(0, 4))
    with pytest.raises(ConfigError, match="sides must end with 4"):
        MultiScaleVQ(sides=(1, 2)).build(PICTURES)
    with pytest.raises(ConfigError, match="truncated is a share"):
        MultiScaleVQ(truncated=1.5)
    with pytest.raises(ConfigError, match="not for vectors"):
        MultiScaleVQ().build(DataFacts((2,)))
    assert fresh(sides=(2, 4)).writing.maps == ((2, 2), (4, 4))


def test_a_batch_of_which_nothing_is_watched_revives_nothing() -> None:
    model = fresh()
    draws = model.draw(4, (1, 8, 8), generator(0, "draws"))
    before = model.module.quantiser.quantiser.codebook.detach().clone()
    model.revive(Batch(pictures(4, 1, 8, 8), None), {**draws, "watched": torch.zeros(4, dtype=torch.bool)})
    assert torch.equal(model.module.quantiser.quantiser.codebook, before)
    assert not model.module.quantiser.quantiser.usage.any()


def test_training_reconstructs_better_with_every_map_and_keeps_the_codebook_in_use() -> None:
    """120 steps on the digits; a codebook that starts far away would never be used without revival."""
    model, store = fresh(truncated=0.5), load_data("digits").train.store
    with torch.no_grad():
        model.module.quantiser.quantiser.codebook.mul_(50)

    def load(indices: Tensor) -> Batch:
        return Batch(Pixels().to_model(store.take(indices)), None)

    batch, draws = load(torch.arange(256)), model.draw(256, (1, 8, 8), generator(0, "look"))
    before = model.measures(batch, draws)
    settings = FitSettings(32, AdamW(), 3e-3, 5, 10.0, seed=0, precision="fp32")
    fit = Fit(model, len(store), load, (1, 8, 8), settings, Accelerator(cpu=True))
    for _ in fit.run(Budget("steps", 120), StopRequest()):
        pass
    after = model.measures(batch, draws)
    assert before["codes used (share)"] <= 0.25
    assert after["codes used (share)"] >= 0.75
    assert after["reconstruction (nats)"] < before["reconstruction (nats)"] - 10
    assert (model.module.quantiser.quantiser.usage >= DEAD).double().mean() >= 0.75
    tokens, errors = model.tokens(batch.examples), []
    for kept in range(1, 5):
        known = sum(h * w for h, w in model.writing.maps[:kept])
        shown = torch.where(torch.arange(tokens.shape[1]) < known, tokens, UNKNOWN)
        errors.append(float((model.decode_tokens(shown) - batch.examples).square().mean()))
    assert errors == sorted(errors, reverse=True)

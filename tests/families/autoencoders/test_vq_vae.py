"""The codebook's laws, and the vector-quantised autoencoder as a family."""

from dataclasses import replace

import pytest
import torch
from accelerate import Accelerator
from torch import Tensor, nn

from sfumato.data import load_data
from sfumato.data.scaling import Pixels
from sfumato.errors import ConfigError
from sfumato.families.agreements import Autoencoder, Batch, DataFacts, Generator, Measured
from sfumato.families.autoencoders.vq_vae import PLAYER, VQVAE, VectorQuantised
from sfumato.nets.quantiser import DEAD, PACE, Quantiser, perplexity
from sfumato.randomness import generator
from sfumato.train.budget import Budget
from sfumato.train.loop import Fit, FitSettings
from sfumato.train.optimiser import AdamW
from sfumato.train.signals import StopRequest

PICTURES = DataFacts((1, 8, 8), bounds=(-1.0, 1.0))


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=generator(seed, "test"))


def quantiser(codes: int = 7, depth: int = 3, commitment: float = 0.25) -> Quantiser:
    made = Quantiser(codes, depth, commitment)
    with torch.no_grad():
        made.codebook.copy_(randn(codes, depth, seed=5))
    return made


def fresh(**options: int) -> VectorQuantised:
    """Build a small one whose weights are always the same."""
    with torch.random.fork_rng():
        torch.random.set_rng_state(generator(0, "weights").get_state())
        return VQVAE(**{"codes": 16, "depth": 4, "width": 16, **options}).build(PICTURES)  # type: ignore[arg-type]


def test_each_place_becomes_its_nearest_code() -> None:
    made, z = quantiser(), randn(2, 3, 4, 5)
    distances = torch.cdist(z.permute(0, 2, 3, 1).reshape(-1, 3), made.codebook)
    assert torch.equal(made.nearest(z).flatten(), distances.argmin(1))
    found, _ = made(z)
    torch.testing.assert_close(found, made.lookup(made.nearest(z)))
    numbers = torch.randint(7, (2, 4, 5), generator=generator(0, "numbers"))
    assert torch.equal(made.nearest(made.lookup(numbers)), numbers)


def test_the_gradient_goes_straight_through() -> None:
    """What a function of the codes would send to them, it sends to what was encoded; the codes get none."""
    made, z, weight = quantiser(), randn(2, 3, 4, 5).requires_grad_(), randn(2, 3, 4, 5, seed=1)
    found, _ = made(z)
    (found.square() * weight).sum().backward()
    torch.testing.assert_close(z.grad, 2 * weight * made.lookup(made.nearest(z)).detach())
    assert made.codebook.grad is None


def test_the_cost_draws_codes_to_encodings_and_encodings_to_codes() -> None:
    made, z = quantiser(commitment=0.4), randn(1, 3, 1, 1).requires_grad_()
    _, cost = made(z)
    cost.sum().backward()
    number = int(made.nearest(z))
    gap = (z[0, :, 0, 0] - made.codebook[number]).detach()
    assert float(cost.detach()) == pytest.approx(1.4 * float(gap.square().sum()))
    torch.testing.assert_close(z.grad[0, :, 0, 0], 0.8 * gap)
    torch.testing.assert_close(made.codebook.grad[number], -2 * gap)
    assert made.codebook.grad.abs().sum(1).count_nonzero() == 1


def test_usage_follows_the_shares_of_choices() -> None:
    made = quantiser()
    made.usage.fill_(1.0)
    z = made.lookup(torch.tensor([[[0, 0, 0, 3]]])).detach()
    made.revive(z, torch.tensor([0]), torch.tensor([0.5]))
    expected = torch.full((7,), 1 - PACE)
    expected[0] += PACE * 7 * 0.75
    expected[3] += PACE * 7 * 0.25
    torch.testing.assert_close(made.usage, expected)


def test_dead_codes_move_to_offered_encodings_and_the_living_stay() -> None:
    made, z = quantiser(), randn(3, 3, 2, 2, seed=3)
    made.usage.fill_(1.0)
    made.usage[[2, 5]] = 0.0
    with torch.no_grad():
        made.codebook[[2, 5]] = 100.0  # so far off that no place chooses them
    before = made.codebook.detach().clone()
    # Lots below one half go to the first of the two dead codes; there the higher one wins.
    made.revive(z, torch.tensor([0, 3, 1]), torch.tensor([0.1, 0.4, 0.9]))
    assert torch.equal(made.codebook[2], z[1, :, 1, 1])
    assert torch.equal(made.codebook[5], z[2, :, 0, 1])
    alive = [0, 1, 3, 4, 6]
    assert torch.equal(made.codebook[alive], before[alive])
    assert made.usage[[2, 5]].tolist() == [1, 1]
    # A revived code has its time of grace: it is not moved again at once.
    made.revive(z, torch.tensor([1, 1, 1]), torch.tensor([0.2, 0.6, 0.7]))
    assert torch.equal(made.codebook[2], z[1, :, 1, 1])


def test_a_batch_of_which_nothing_is_watched_revives_nothing() -> None:
    model = fresh()
    draws = model.draw(4, (1, 8, 8), generator(0, "draws"))
    before = model.module.quantiser.codebook.detach().clone()
    model.module.quantiser.usage.fill_(1.0)
    model.revive(Batch(randn(4, 1, 8, 8), None), {**draws, "watched": torch.zeros(4, dtype=torch.bool)})
    assert torch.equal(model.module.quantiser.codebook, before)
    # That nobody was watched says of no code that it is chosen less.
    assert torch.equal(model.module.quantiser.usage, torch.ones_like(before[:, 0]))


def test_perplexity_counts_the_codes_in_play() -> None:
    assert perplexity(torch.tensor([4, 4, 4, 0])) == pytest.approx(3)
    assert perplexity(torch.tensor([9, 0])) == pytest.approx(1)


def test_it_is_an_autoencoder_and_no_generator() -> None:
    model = fresh()
    assert isinstance(model, Autoencoder)
    assert isinstance(model, Measured)
    assert not isinstance(model, Generator)


@pytest.mark.parametrize(
    ("shape", "grid"), [((1, 8, 8), (4, 4)), ((1, 28, 28), (7, 7)), ((3, 17, 9), (5, 3))]
)
def test_codes_decode_to_pictures_of_any_size(shape: tuple[int, ...], grid: tuple[int, int]) -> None:
    facts = replace(PICTURES, shape=shape)
    model = VQVAE(codes=16, depth=4, width=16, decoder="logistic").build(facts)
    x = torch.rand(2, *shape, generator=generator(0, "x")) * 2 - 1
    z = model.encode(x, None)
    assert z.shape == (2, *model.latent_shape) == (2, 4, *grid)
    pictures = model.decode(z, None)
    assert pictures.shape == x.shape
    assert torch.equal(pictures, model.decode_tokens(model.tokens(x)))
    # What lies near a code decodes as the code does.
    assert torch.equal(model.decode(z + 1e-4, None), pictures)


def test_vectors_and_unfit_decoders_are_refused() -> None:
    with pytest.raises(ConfigError, match="not for vectors"):
        VQVAE().build(DataFacts((2,)))
    with pytest.raises(ConfigError, match="black and white"):
        VQVAE(decoder="bernoulli").build(DataFacts((3, 8, 8), bounds=(-1.0, 1.0)))
    with pytest.raises(ConfigError, match="codes must be at least 2"):
        VQVAE(codes=1)
    with pytest.raises(ConfigError, match="commitment must be at least 0"):
        VQVAE(commitment=-1.0)


def fitting(model: VectorQuantised) -> Fit:
    store = load_data("digits").train.store
    settings = FitSettings(32, AdamW(), 3e-3, 5, 10.0, seed=0, precision="fp32")

    def load(indices: Tensor) -> Batch:
        return Batch(Pixels().to_model(store.take(indices)), None)

    return Fit(model, len(store), load, (1, 8, 8), settings, Accelerator(cpu=True))


def test_a_resumed_training_has_the_same_codebook_and_usage() -> None:
    """Bitwise: revival draws from the step's own generator, and usage is saved with the weights."""
    whole, first = fitting(fresh()), fitting(fresh())
    for fit in (whole, first):
        for _ in fit.run(Budget("steps", 6), StopRequest()):
            if fit is first and fit.done.steps == 3:
                break
    other = fresh(codes=16)
    nn.init.zeros_(other.module.quantiser.codebook)
    second = fitting(other)
    second.load_tensors({name: value.clone() for name, value in first.tensors().items()}, first.done)
    for _ in second.run(Budget("steps", 6), StopRequest()):
        pass
    found, expected = second.tensors(), whole.tensors()
    assert f"{PLAYER}.weights.quantiser.usage" in expected
    assert all(torch.equal(found[name], value) for name, value in expected.items())


def test_training_reconstructs_and_keeps_the_codebook_in_use() -> None:
    """120 steps on the digits; a codebook that starts far away would never be used without revival."""
    model = fresh()
    with torch.no_grad():
        model.module.quantiser.codebook.mul_(50)
    fit = fitting(model)
    batch, draws = fit._rows(fit._order.indices(0), generator(0, "look"))
    before = model.measures(batch, draws)
    for _ in fit.run(Budget("steps", 120), StopRequest()):
        pass
    after = model.measures(batch, draws)
    assert before["codes used (share)"] <= 0.25
    assert after["codes used (share)"] >= 0.75
    assert after["codebook perplexity (codes)"] > 2 * before["codebook perplexity (codes)"]
    assert after["reconstruction (nats)"] < before["reconstruction (nats)"] - 10
    assert (model.module.quantiser.usage >= DEAD).double().mean() >= 0.75

"""Autoencoders: the linear one finds principal components, the others rebuild what they are meant to."""

import math
from dataclasses import replace

import pytest
import torch
from accelerate import Accelerator
from torch import Tensor, nn

from helpers import digits
from sfumato.data.scaling import Pixels
from sfumato.errors import ConfigError
from sfumato.families import agreements
from sfumato.families.agreements import Batch, DataFacts, Design
from sfumato.families.autoencoders.autoencoder import (
    LEAST_MSE,
    PLAYER,
    Autoencoder,
    DenoisingAutoencoder,
    LinearAutoencoder,
    MaskedAutoencoder,
    Reconstructor,
)
from sfumato.families.autoencoders.corruption import Mask, Noise, Nothing
from sfumato.nets.flat_codec import LinearCodec
from sfumato.runs.build import seeded_weights
from sfumato.train.budget import Budget
from sfumato.train.loop import Fit, FitSettings
from sfumato.train.optimiser import AdamW
from sfumato.train.signals import StopRequest

DIGITS = DataFacts((1, 8, 8), classes=10, bounds=(-1.0, 1.0), std=0.75)
DESIGNS: tuple[Design, ...] = (
    LinearAutoencoder(4),
    Autoencoder(4, width=8),
    Autoencoder((2, 4, 4), width=8, code_noise=0.1),
    DenoisingAutoencoder(4, width=8, noise=(0.1, 1.0)),
    MaskedAutoencoder(4, width=8, patch=2),
)
every_design = pytest.mark.parametrize("design", DESIGNS, ids=lambda design: type(design).__name__)


def pictures() -> Tensor:
    """All training digits as a model sees them."""
    train = digits().train
    return Pixels().to_model(train.batch(torch.arange(len(train)))[0])


def built(design: Design) -> Reconstructor:
    with seeded_weights(0, "weights"):
        family = design.build(DIGITS)
    assert isinstance(family, Reconstructor)
    return family


def fitted(design: Design, steps: int, batch: int, rate: float, decay: float = 0.0) -> Reconstructor:
    family, x = built(design), pictures()
    settings = FitSettings(batch, AdamW(decay), rate, warmup=20, clip=1e9, seed=0)
    fit = Fit(family, len(x), lambda i: Batch(x[i], None), (1, 8, 8), settings, Accelerator(cpu=True))
    for _ in fit.run(Budget("steps", steps), StopRequest()):
        pass
    return family


def some(family: Reconstructor, count: int = 6) -> tuple[Batch, agreements.Draws]:
    draws = family.draw(count, (1, 8, 8), torch.Generator().manual_seed(1))
    return Batch(pictures()[:count], None), draws


def filled(family: Reconstructor) -> Reconstructor:
    """Fill every parameter, so that nothing is zero as it is before training."""
    with torch.no_grad():
        for parameter in family.module.parameters():
            parameter.copy_(0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(2)))
    return family


@pytest.mark.parametrize("latent", [2, 8, 16])
def test_the_linear_one_learns_the_principal_components(latent: int) -> None:
    """The largest principal angle is below 1° and the error within 1 % of the least there is."""
    module = fitted(LinearAutoencoder(latent), steps=1000, batch=1617, rate=0.1).module
    x = pictures().flatten(1).double()
    _, scales, axes = torch.linalg.svd(x - x.mean(0), full_matrices=False)
    spanned = torch.linalg.qr(module.get_parameter("decoder.matrix.weight").detach().double())[0]
    cosine = float(torch.linalg.svdvals(axes[:latent] @ spanned).min())
    assert math.degrees(math.acos(min(1.0, cosine))) < 1
    least = float(scales[latent:].square().sum()) / x.numel()
    with torch.no_grad():
        error = (module(x.float(), torch.zeros(1, latent)).flatten(1) - x).square().mean()
    assert least < float(error) < 1.01 * least


def test_noise_shrinks_each_component_as_wiener_says() -> None:
    """The best linear denoiser keeps λ/(λ + σ²) of a component, and errs by λσ²/(λ + σ²) there."""
    spread, sigma, rows = torch.tensor([2.0, 1.0, 0.5]), 0.7, 200_000
    codec = LinearCodec((3,), 2)
    with torch.no_grad():
        codec.encoder.matrix.weight.copy_(torch.eye(3)[:2])
        kept = spread.square() / (spread.square() + sigma**2)
        codec.decoder.matrix.weight.copy_(torch.diag(kept)[:, :2])
        codec.decoder.matrix.bias.zero_()
    family = Reconstructor(codec, (2,), Noise(sigma, sigma))
    random = torch.Generator().manual_seed(0)
    batch = Batch(spread * torch.randn(rows, 3, generator=random), None)
    loss = family.loss(batch, family.draw(rows, (3,), random)).mean()
    # The third component is not told at all. Errors are squares of Gaussians: their mean over 200,000 rows is
    # known to about 0.1 %, and so is a gradient of 1, which at the best denoiser is 0.
    expected = float((kept * sigma**2)[:2].sum() + spread[2] ** 2) / 3
    assert float(loss.detach()) == pytest.approx(expected, rel=0.01)
    loss.backward()
    gradients = [parameter.grad for parameter in codec.parameters()]
    assert max(float(gradient.abs().max()) for gradient in gradients) < 0.02  # type: ignore[union-attr]


@every_design
def test_every_design_keeps_the_agreements(design: Design) -> None:
    family = filled(built(design))
    assert isinstance(family, agreements.Autoencoder)
    assert isinstance(family, agreements.Measured)
    assert not isinstance(family, agreements.Generator)
    batch, draws = some(family)
    codes = family.encode(batch.examples, None)
    assert codes.shape == (6, *family.latent_shape)
    assert family.decode(codes, None).shape == (6, 1, 8, 8)
    loss = family.loss(batch, draws).detach()
    assert loss.shape == (6,)
    assert loss.dtype == torch.float32
    alone = family.loss(Batch(batch.examples[2:3], None), {name: draws[name][2:3] for name in draws})
    assert float(alone.detach()) == pytest.approx(
        float(loss[2]), rel=1e-5
    )  # other sizes add in another order


@every_design
def test_another_network_takes_the_place_of_the_first(design: Design) -> None:
    family, other = built(design), filled(built(design))
    batch, draws = some(family)
    taken = family.with_modules({PLAYER: other.module})
    assert torch.equal(taken.loss(batch, draws), other.loss(batch, draws))
    assert not torch.equal(taken.loss(batch, draws), family.loss(batch, draws))
    assert family.with_modules({}).module is family.module


def test_a_plain_loss_is_the_squared_error_of_decoding_the_code() -> None:
    family = filled(built(DESIGNS[1]))
    batch, draws = some(family)
    rebuilt = family.decode(family.encode(batch.examples, None), None)
    expected = (rebuilt - batch.examples).square().mean((1, 2, 3))
    assert torch.allclose(family.loss(batch, draws), expected)


def test_noise_on_codes_has_its_deviation() -> None:
    family = replace(built(DESIGNS[2]), code_noise=0.3)
    moved = family.draw(2000, (1, 8, 8), torch.Generator().manual_seed(0))["moved"]
    assert moved.shape == (2000, 2, 4, 4)
    assert float(moved.std()) == pytest.approx(0.3, rel=0.01)  # of 64,000 numbers: 0.3 % at one deviation
    assert float(built(DESIGNS[1]).draw(9, (1, 8, 8), torch.Generator())["moved"].abs().max()) == 0


def test_what_is_hidden_is_told_from_what_is_seen() -> None:
    """Other values under the mask change the target alone."""
    family = filled(built(DESIGNS[4]))
    batch, draws = some(family)
    other = torch.where(draws["hidden"], -batch.examples, batch.examples)
    assert torch.equal(family.shown(batch.examples, draws), family.shown(other, draws))
    assert not torch.equal(family.loss(batch, draws), family.loss(Batch(other, None), draws))


@pytest.mark.parametrize(
    ("design", "share"),
    [
        (Autoencoder((2, 4, 4), width=16), 0.3),
        (DenoisingAutoencoder((2, 4, 4), width=16, noise=0.5), 0.6),
        (MaskedAutoencoder((2, 4, 4), width=16, share=0.25, patch=2), 0.85),
    ],
)
def test_training_leaves_little_of_the_data_s_variance(design: Design, share: float) -> None:
    """150 steps leave 0.18, 0.37 and 0.66 of it; an untrained network, or one that knows the mean, 1."""
    family = fitted(design, steps=150, batch=64, rate=3e-3)
    x = pictures()
    draws = family.draw(len(x), (1, 8, 8), torch.Generator().manual_seed(3))
    with torch.no_grad():
        left = float(family.loss(Batch(x, None), draws).mean())
    assert left < share * float((x - x.mean(0)).square().mean())


class Shifting(nn.Module):
    """Codes are the example; decoding shifts by a constant."""

    def __init__(self, shift: float) -> None:
        super().__init__()
        self.encoder, self.decoder = nn.Identity(), nn.Identity()
        self.decoder.register_forward_hook(lambda *found: found[-1] + shift)


def test_the_measures_are_for_a_range_of_one() -> None:
    family = Reconstructor(Shifting(0.02), (1, 8, 8), Nothing(), value_range=2.0)
    found = family.measures(*some(family))
    assert found["reconstruction error (MSE, range 1)"] == pytest.approx(1e-4, rel=1e-4)
    assert found["reconstruction PSNR (dB)"] == pytest.approx(40, abs=1e-3)
    perfect = replace(family, module=Shifting(0.0))
    least = -10 * math.log10(LEAST_MSE)
    assert perfect.measures(*some(perfect))["reconstruction PSNR (dB)"] == pytest.approx(least, abs=1e-3)
    unbounded = replace(family, value_range=None).measures(*some(family))
    assert unbounded == pytest.approx({"reconstruction error (MSE, standardised)": 4e-4}, rel=1e-4)


def test_the_measures_are_of_what_was_asked_in_training() -> None:
    """Who keeps noise errs by its variance; who copies a mask's grey errs by the hidden half alone."""
    noisy = Reconstructor(Shifting(0.0), (1, 8, 8), Noise(0.5, 0.5), value_range=2.0)
    # 64 × 500 squares with a relative deviation of sqrt(2): their mean is known to 0.8 %; five of these.
    found = noisy.measures(*some(noisy, 500))["reconstruction error (MSE, range 1)"]
    assert found == pytest.approx(0.5**2 / 4, rel=0.04)
    masked = Reconstructor(Shifting(0.02), (1, 8, 8), Mask(0.5, 2), value_range=2.0)
    batch, draws = some(masked, 500)
    restored, hidden = masked.restored(batch.examples, draws), draws["hidden"]
    assert torch.equal(restored[~hidden], batch.examples[~hidden])
    assert torch.equal(restored[hidden], torch.full_like(restored[hidden], 0.02))


@pytest.mark.parametrize(
    ("design", "options", "words"),
    [
        (LinearAutoencoder, {"latent": 0}, "latent must be at least 1"),
        (Autoencoder, {"latent": (4, 0, 7)}, "latent must be at least 1"),
        (Autoencoder, {"latent": ()}, "latent must be at least 1"),
        (Autoencoder, {"width": 0}, "width must be at least 1"),
        (Autoencoder, {"blocks": 0}, "blocks must be at least 1"),
        (Autoencoder, {"code_noise": -0.1}, "code_noise"),
        (DenoisingAutoencoder, {"noise": 0.0}, "deviation above 0"),
        (MaskedAutoencoder, {"share": 1.0}, "share between 0 and 1"),
    ],
)
def test_options_out_of_range_are_refused(design: type, options: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        design(**options)


@pytest.mark.parametrize("design", [Autoencoder((1, 2, 2)), MaskedAutoencoder(2)])
def test_vectors_have_flat_codes_and_no_patches(design: Design) -> None:
    with pytest.raises(ConfigError, match=r"flat codes|no two patches"):
        design.build(DataFacts((5,)))


def test_vectors_are_learned_too() -> None:
    family = Autoencoder(2, width=16).build(DataFacts((5,)))
    x = torch.randn(7, 5, generator=torch.Generator().manual_seed(0))
    assert family.decode(family.encode(x, None), None).shape == x.shape

"""Codecs: every size of picture comes back, codes have the promised shape and range, rows keep apart."""

import pytest
import torch
from torch import nn

from sfumato.errors import ConfigError
from sfumato.nets.codec import PictureCodec
from sfumato.nets.flat_codec import LinearCodec, VectorCodec


def filled(network: nn.Module, seed: int = 0) -> nn.Module:
    """Fill every parameter, so that nothing is zero as it is before training."""
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(0.2 * torch.randn(parameter.shape, generator=random))
    return network


def examples(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    ("shape", "latent"),
    [
        ((1, 8, 8), 3),
        ((1, 8, 8), (4, 4, 4)),
        ((1, 8, 8), (2, 8, 8)),
        ((3, 9, 13), 5),
        ((3, 9, 13), (2, 5, 7)),
        ((3, 9, 13), (2, 3, 4)),
        ((1, 28, 28), (4, 7, 7)),
        ((1, 28, 28), (4, 14, 14)),
        ((1, 28, 28), 16),
        ((3, 33, 33), (4, 9, 9)),
        ((3, 64, 64), 7),
    ],
)
def test_any_picture_comes_back_in_its_size(
    shape: tuple[int, ...], latent: int | tuple[int, int, int]
) -> None:
    codec = filled(PictureCodec(shape, latent, width=8, blocks=1))
    x = examples(2, *shape)
    z = codec.get_submodule("encoder")(x)
    assert z.shape == (2, *((latent,) if isinstance(latent, int) else latent))
    assert z.dtype == torch.float32
    assert float(z.detach().abs().max()) <= 1
    assert codec.get_submodule("decoder")(z).shape == x.shape
    assert torch.equal(codec(x, torch.zeros_like(z)), codec.get_submodule("decoder")(z))


@pytest.mark.parametrize("latent", [(4, 6, 6), (4, 7), (4, 7, 14), (4, 28, 7), (1, 2, 2)])
def test_a_code_that_halving_does_not_reach_is_refused(latent: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match=r"28×28 or 14×14 or 7×7 or 4×4"):
        PictureCodec((1, 28, 28), latent, width=8, blocks=1)


def test_every_pixel_reaches_the_code_and_every_number_of_a_code_the_picture() -> None:
    codec = filled(PictureCodec((1, 9, 9), 4, width=8, blocks=1))
    x = examples(1, 1, 9, 9).requires_grad_()
    z = codec.get_submodule("encoder")(x)
    z.square().sum().backward()
    assert bool((x.grad != 0).all())
    z = z.detach().requires_grad_()
    codec.get_submodule("decoder")(z).square().sum().backward()
    assert bool((z.grad != 0).all())


@pytest.mark.parametrize(
    ("codec", "shape"),
    [
        (PictureCodec((1, 8, 8), 3, width=8, blocks=1), (1, 8, 8)),
        (VectorCodec(5, 2, 16), (5,)),
        (LinearCodec((2, 3), 2), (2, 3)),
    ],
)
def test_an_example_has_one_code_whatever_stands_beside_it(codec: nn.Module, shape: tuple[int, ...]) -> None:
    filled(codec)
    x = examples(4, *shape)
    encode = codec.get_submodule("encoder")
    # Matrix products of other sizes add in another order: a few units in the last place of float32.
    assert torch.allclose(encode(x)[:1], encode(x[:1]), atol=1e-6)


def test_a_linear_codec_is_linear_and_stays_in_float32_where_others_do_not() -> None:
    codec = filled(LinearCodec((1, 4, 4), 3))
    a, b = examples(2, 1, 4, 4).split(1)
    encode = codec.get_submodule("encoder")
    with torch.autocast("cpu", torch.bfloat16):
        assert encode(a).dtype == torch.float32
        whole = encode(2 * a - b)
    assert torch.allclose(whole, 2 * encode(a) - encode(b), atol=1e-5)  # rounding of float32 sums of 16

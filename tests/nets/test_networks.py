"""Networks: shapes they accept, what they say before training, and what they may depend on."""

import pytest
import torch
from torch.nn import functional as F

from sfumato.condition import Condition
from sfumato.nets.blocks import Attention, ChannelNorm, ResidualBlock
from sfumato.nets.conditions import Labels
from sfumato.nets.embedding import LevelEmbedding
from sfumato.nets.mlp import MLP
from sfumato.nets.unet import UNet

RANDOM = torch.Generator().manual_seed(0)
LABELS = {"label": Labels(3)}


def randn(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=RANDOM)


def shaken(network: torch.nn.Module) -> torch.nn.Module:
    """Fill every parameter, so that nothing is zero as it is before training."""
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(0.1 * randn(*parameter.shape))
    return network


@pytest.mark.parametrize("side", [8, 12, 16, 28, 30, 32, 33, 48, 64])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_unet_takes_any_side_from_8_to_64(side: int, channels: int) -> None:
    network = shaken(UNet(channels, (16, 16), blocks=1, fold=1 if side < 24 else 2, conditions=LABELS))
    x = randn(2, channels, side, side)
    out = network(x, randn(2), Condition.of(label=torch.tensor([0, 2])))
    assert out.shape == x.shape
    assert torch.isfinite(out).all()


@pytest.mark.parametrize(
    "network",
    [UNet(1, (16, 16), conditions=LABELS), MLP(5, 16, conditions=LABELS)],
)
def test_an_untrained_network_puts_out_zero(network: torch.nn.Module) -> None:
    x = randn(2, 1, 8, 8) if isinstance(network, UNet) else randn(2, 5)
    assert not network(x, randn(2), None).any()


@pytest.mark.parametrize(
    "make",
    [
        lambda: UNet(1, (16, 16), conditions=LABELS),
        lambda: MLP(5, 16, conditions=LABELS),
    ],
)
def test_rows_do_not_know_of_each_other_and_dropped_labels_are_hidden(make) -> None:  # type: ignore[no-untyped-def]
    network = shaken(make()).double()
    x = (randn(4, 1, 8, 8) if isinstance(network, UNet) else randn(4, 5)).double()
    level, labels = randn(4).double(), torch.tensor([0, 1, 2, 1])
    condition = Condition.of(label=labels)
    whole = network(x, level, condition)
    alone = torch.cat([network(x[i : i + 1], level[i : i + 1], condition[i : i + 1]) for i in range(4)])
    torch.testing.assert_close(whole, alone, rtol=1e-10, atol=1e-12)
    other = Condition.of(label=(labels + 1) % 3)
    assert not torch.allclose(whole, network(x, level, other))
    assert torch.equal(network(x, level, condition.drop_all()), network(x, level, other.drop_all()))
    assert torch.equal(network(x, level, condition.drop_all()), network(x, level, None))


def test_the_level_matters_and_is_told_apart() -> None:
    embedding = LevelEmbedding(16)
    # ¼ log(sigma/alpha) from 0.002 to 80, EDM's range, in steps of a twentieth.
    levels = torch.linspace(-1.55, 1.1, 50)
    with torch.no_grad():
        distances = torch.cdist(embedding(levels), embedding(levels))
    apart = distances + torch.eye(50) * 1e9
    assert float(apart.min()) > 1e-3


def test_channel_norm_is_layer_norm_of_each_pixel() -> None:
    x = randn(2, 6, 3, 5)
    normed = ChannelNorm()(x)
    torch.testing.assert_close(normed.mean(1), torch.zeros(2, 3, 5), atol=1e-6, rtol=0)
    torch.testing.assert_close(normed.var(1, unbiased=False), torch.ones(2, 3, 5), atol=1e-3, rtol=0)


def test_attention_is_the_library_s() -> None:
    """Two plain matrix products give what torch's fused attention gives."""
    block = shaken(Attention(64, head=32)).double()
    x = randn(2, 64, 3, 4).double()
    q, k, v = block.qkv(block.norm(x)).flatten(2).unflatten(1, (3, 2, 32)).unbind(1)  # type: ignore
    fused = F.scaled_dot_product_attention(q.mT, k.mT, v.mT).mT
    expected = x + block.out(fused.reshape(2, 64, 3, 4))  # type: ignore[operator]
    torch.testing.assert_close(block(x), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("channels", [8, 40, 112, 200])
def test_attention_takes_any_width(channels: int) -> None:
    assert Attention(channels)(randn(1, channels, 2, 2)).shape == (1, channels, 2, 2)


def test_a_residual_block_starts_as_its_skip() -> None:
    block = ResidualBlock(8, 8, 4)
    x = randn(2, 8, 5, 5)
    assert torch.equal(block(x, randn(2, 4)), x)

"""Sentences read beforehand: hidden is untold to the bit, rows do not mix, and padding says nothing."""

import torch

from sfumato.condition import Condition
from sfumato.nets.read_text import ReadText
from sfumato.nets.unet import UNet

RANDOM = torch.Generator().manual_seed(0)
ROWS, LENGTH, WIDTH = 4, 6, 8
COUNTS = torch.tensor([5, 3, 6, 0])


def randn(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=RANDOM)


def features(length: int) -> torch.Tensor:
    present = (torch.arange(length) < COUNTS[:, None])[..., None].float()
    each = EACH[:, :length] if length <= LENGTH else torch.nn.functional.pad(EACH, (0, 0, 0, length - LENGTH))
    return torch.cat([each * present, present], -1)


def network(length: int = LENGTH) -> UNet:
    made = UNet(1, (16, 16), conditions={"text": ReadText(length, WIDTH)})
    weights = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.copy_(0.2 * torch.randn(*parameter.shape, generator=weights))
    return made.eval()


EACH = randn(ROWS, LENGTH, WIDTH)
X, LEVEL, TOLD = randn(ROWS, 1, 8, 8), randn(ROWS), Condition.of(text=features(LENGTH))


@torch.no_grad()
def test_a_hidden_sentence_is_no_sentence_to_the_bit() -> None:
    model = network()
    assert torch.equal(model(X, LEVEL, TOLD.drop_all()), model(X, LEVEL, None))
    assert not torch.allclose(model(X, LEVEL, TOLD), model(X, LEVEL, None))


@torch.no_grad()
def test_rows_do_not_mix() -> None:
    model, told = network(), TOLD.drop(torch.tensor([False, True, False, False]))
    order = torch.tensor([3, 1, 0, 2])
    turned = model(X[order], LEVEL[order], told[order])
    # Kernels may add in another order for another place in the batch.
    torch.testing.assert_close(turned, model(X, LEVEL, told)[order], rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_a_longer_row_says_the_same() -> None:
    longer = network(LENGTH + 3)(X, LEVEL, Condition.of(text=features(LENGTH + 3)))
    # Sums over longer rows of which the rest is zero.
    torch.testing.assert_close(longer, network()(X, LEVEL, TOLD), rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_the_size_of_features_does_not_matter() -> None:
    large = features(LENGTH)
    large[..., :-1] *= 100
    # Up to the 1e-5 that keeps the norm's division from zero, of a variance of about 1.
    torch.testing.assert_close(
        network()(X, LEVEL, Condition.of(text=large)), network()(X, LEVEL, TOLD), rtol=1e-3, atol=1e-3
    )


@torch.no_grad()
def test_every_word_counts() -> None:
    changed = features(LENGTH)
    changed[0, 4, :-1] = randn(WIDTH)
    whole, other = network()(X, LEVEL, TOLD), network()(X, LEVEL, Condition.of(text=changed))
    assert not torch.allclose(whole[0], other[0])
    torch.testing.assert_close(whole[1:], other[1:])

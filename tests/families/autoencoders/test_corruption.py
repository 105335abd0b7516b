"""Corruption: noise has the deviation asked for, masks hide the share asked for, the right errors count."""

import pytest
import torch

from sfumato.errors import ConfigError
from sfumato.families.autoencoders.corruption import Corruption, Mask, Noise, Nothing


def random(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_nothing_does_nothing() -> None:
    x = torch.randn(3, 5, generator=random())
    assert Nothing().spoil(x, Nothing().draw(3, (5,), random())) is x


def test_noise_has_its_deviation_and_adds_to_the_example() -> None:
    noise, x = Noise(0.3, 0.3), torch.ones(4, 50_000)
    draws = noise.draw(4, (50_000,), random())
    added = noise.spoil(x, draws) - x
    # The deviation of 50,000 numbers is known to 0.3/sqrt(100,000) = 0.001; five of these.
    assert added.std(1).tolist() == pytest.approx([0.3] * 4, abs=0.005)
    assert added.mean(1).tolist() == pytest.approx([0.0] * 4, abs=0.007)


def test_noise_of_a_range_covers_it_and_keeps_to_it() -> None:
    sigma = Noise(0.2, 0.8).draw(2000, (1,), random())["sigma"]
    assert 0.2 <= float(sigma.min()) < 0.21
    assert 0.79 < float(sigma.max()) <= 0.8
    assert float(sigma.mean()) == pytest.approx(0.5, abs=0.02)  # 0.6/sqrt(12·2000) = 0.004; five of these


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 9, 13)])
@pytest.mark.parametrize("share", [0.25, 0.5, 0.9])
def test_a_mask_hides_the_same_share_of_every_picture_in_whole_patches(
    shape: tuple[int, ...], share: float
) -> None:
    mask = Mask(share, 4)
    hidden = mask.draw(50, shape, random())["hidden"]
    assert hidden.shape == (50, 1, *shape[1:])
    patches = hidden[:, 0, ::4, ::4]
    # Never all of them: something must be left to see.
    wanted = min(round(share * patches[0].numel()), patches[0].numel() - 1)
    assert set(patches.flatten(1).sum(1).tolist()) == {wanted}
    whole = patches.repeat_interleave(4, 1).repeat_interleave(4, 2)[:, : shape[1], : shape[2]]
    assert torch.equal(whole, hidden[:, 0])
    assert bool(hidden.any(0).all())  # every pixel's turn comes
    x = torch.rand(50, *shape, generator=random()) + 1
    shown = mask.spoil(x, {"hidden": hidden})
    assert torch.equal(shown == 0, hidden.expand_as(x))
    assert torch.equal(shown[~hidden.expand_as(x)], x[~hidden.expand_as(x)])


def test_only_what_was_hidden_counts() -> None:
    mask = Mask(0.5, 2)
    draws = mask.draw(6, (3, 8, 8), random())
    hidden = draws["hidden"].float()
    errors = torch.rand(6, 3, 8, 8, generator=random())
    assert torch.allclose(
        mask.error(2 * hidden + 7 * (1 - hidden) + 0 * errors, draws), torch.full((6,), 2.0)
    )
    seen_changed = errors + (1 - hidden)
    assert torch.allclose(mask.error(seen_changed, draws), mask.error(errors, draws))


def test_what_could_be_seen_is_put_back_and_what_was_hidden_is_as_rebuilt() -> None:
    mask, x, rebuilt = Mask(0.5, 2), torch.zeros(6, 3, 8, 8), torch.ones(6, 3, 8, 8)
    draws = mask.draw(6, (3, 8, 8), random())
    assert torch.equal(mask.completed(rebuilt, x, draws), draws["hidden"].expand_as(x).float())
    # Its error over the whole picture is that of the hidden part, by its share.
    squares = (mask.completed(rebuilt, x, draws) - x).square()
    assert torch.allclose(squares.mean((1, 2, 3)), 0.5 * mask.error((rebuilt - x).square(), draws))
    for corruption in (Nothing(), Noise(0.0, 1.0)):
        assert corruption.completed(rebuilt, x, draws) is rebuilt


def test_every_error_counts_otherwise() -> None:
    errors = torch.rand(6, 1, 4, 4, generator=random())
    for corruption in (Nothing(), Noise(0.0, 1.0)):
        assert torch.allclose(corruption.error(errors, {}), errors.mean((1, 2, 3)))


@pytest.mark.parametrize("noise", [(-0.1, 1.0), (0.5, 0.1), (0.0, 0.0), (0.1, float("inf"))])
def test_noise_out_of_range_is_refused(noise: tuple[float, float]) -> None:
    with pytest.raises(ConfigError, match="deviation above 0"):
        Noise(*noise)


@pytest.mark.parametrize(("share", "patch"), [(0.0, 2), (1.0, 2), (0.5, 0)])
def test_a_mask_out_of_range_is_refused(share: float, patch: int) -> None:
    with pytest.raises(ConfigError, match="share between 0 and 1"):
        Mask(share, patch)


@pytest.mark.parametrize("shape", [(5,), (1, 8, 8)])
def test_what_has_no_patches_cannot_be_masked(shape: tuple[int, ...]) -> None:
    corruption: Corruption = Mask(0.5, 8)
    with pytest.raises(ConfigError, match="no two patches"):
        corruption.check(shape)

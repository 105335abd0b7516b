"""Folded networks: sizes come out right, and what a place says is written where it was read."""

import pytest
import torch

from sfumato.nets.folded import SIDE, FoldedReader, FoldedWriter, fold_of, grid_of
from sfumato.randomness import generator


@pytest.mark.parametrize("side", [8, 9, 16, 17, 28, 33, 64, 200])
def test_a_map_is_small_and_covers_the_picture_with_the_least_folding(side: int) -> None:
    fold, (height, width) = fold_of((1, side, side // 2)), grid_of((1, side, side // 2))
    assert height <= SIDE
    assert height * fold >= side > (height - 1) * fold
    assert width * fold >= side // 2 > (width - 1) * fold
    assert fold == 2 or side > SIDE * fold // 2


def test_a_place_is_written_where_it_was_read() -> None:
    """With no blocks both ways look one place around, so a far corner keeps still, on odd sides as well."""
    shape = (3, 27, 18)
    reader, writer = FoldedReader(shape, 5, 8, 0), FoldedWriter(shape, 5, 2, 8, 0)
    x = torch.rand(1, *shape, generator=generator(0, "x"))
    other = x.clone()
    other[:, :, :4, :4] = 1 - other[:, :, :4, :4]  # the first of 7 × 5 places
    moved = (reader(x) - reader(other)).abs().amax((0, 1))
    assert moved.shape == (7, 5)
    assert moved[0, 0] > 0
    assert not moved[3:].any()
    assert not moved[:, 3:].any()
    written = (writer(reader(x)) - writer(reader(other))).abs()
    assert written.shape == (1, 6, 27, 18)
    assert written[..., :4, :4].amax((0, 1)).min() > 0
    assert not written[..., 20:, :].any()

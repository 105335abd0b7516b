"""Sums of multiples of batches: right for numbers and for rows, image by image, and at nobody else's cost."""

import pytest
import torch

from sfumato.diffusion.combination import add_to, added, combine, number, per_row

from .helpers import close, randn

FACTORS = [(0.7,), (0.7, -1.3), (1.0, 0.2, -0.4), (0.0, 2.0), (-2.0, 0.0, 1.0)]


def terms(factors, *shape):
    return [(factor, randn(*shape, seed=seed)) for seed, factor in enumerate(factors)]


@pytest.mark.parametrize("factors", FACTORS, ids=str)
def test_it_is_the_sum(factors):
    given = terms(factors, 3, 2, 5)
    close(combine(*given), sum(factor * x for factor, x in given))


@pytest.mark.parametrize("factors", FACTORS, ids=str)
def test_one_number_a_row_is_that_number_in_its_row(factors):
    given = terms(factors, 3, 2, 5)
    scale = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    whole = combine(*((factor * scale, x) for factor, x in given))
    for row in range(3):
        close(whole[row], combine(*((float(factor * scale[row]), x[row]) for factor, x in given)))


def test_numbers_and_rows_go_together():
    x, y, z = (randn(3, 2, seed=seed) for seed in range(3))
    rows = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    close(combine((2.0, x), (rows, y), (-1.0, z)), 2 * x + rows[:, None] * y - z)
    close(added(x, rows, y), x + rows[:, None] * y)
    close(added(x, 0.3, y), x + 0.3 * y)
    close(add_to(x.clone(), rows, y), x + rows[:, None] * y)
    close(add_to(x.clone(), 0.3, y), x + 0.3 * y)


def test_what_counts_nothing_is_not_read():
    x, broken = randn(3, 2), torch.full((3, 2), torch.nan).double()
    close(combine((2.0, x), (0.0, broken)), 2 * x)
    close(combine((0.0, broken), (2.0, x)), 2 * x)
    close(combine((0.0, x)), torch.zeros(3, 2))


@pytest.mark.parametrize("factors", FACTORS, ids=str)
def test_nothing_that_is_given_is_changed_or_handed_back(factors):
    given = terms(factors, 3, 2)
    before = [x.clone() for _, x in given]
    combine(*given).zero_()
    assert all(torch.equal(x, old) for (_, x), old in zip(given, before, strict=True))


@pytest.mark.parametrize("length", [1, 2, 3, 7, 16, 31])
def test_no_entry_depends_on_where_it_stands(length):
    """Kernels treat whole vectors and the rest apart; a product fused in one of them alone would show."""
    x, y = (randn(70, 31, seed=seed).float()[:, :length].contiguous() for seed in (0, 1))
    whole = combine((0.123456789, x), (-1.987654321, y))
    for row in range(70):
        assert torch.equal(
            combine((0.123456789, x[row : row + 1]), (-1.987654321, y[row : row + 1]))[0], whole[row]
        )


def test_gradients_go_through():
    x, y = (randn(3, 2, seed=seed).requires_grad_() for seed in (0, 1))
    rows = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x, y: combine((0.5, x), (-2.0, y), (rows, x), (3.0, y)), (x, y))


def test_a_shared_number_and_numbers_a_row():
    x = randn(3, 2, 2).float()
    rows = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    assert number(rows) is rows
    assert number(rows[1]) == -2.0
    assert isinstance(number(rows[1]), float)
    assert torch.equal(per_row(0.25, x), torch.full((3,), 0.25))
    assert torch.equal(per_row(rows, x), rows.float())

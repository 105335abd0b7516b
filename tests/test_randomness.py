"""Randomness as an argument: a seed's picture is its own, wherever it stands."""

import itertools

import pytest
import torch

from sfumato.randomness import SeededNoise, generator


def test_a_seed_s_rows_do_not_depend_on_its_neighbours():
    alone, batch = SeededNoise([7]), SeededNoise([3, 7, 11, 2])
    # Two draws of different shapes, as in sampling: the second continues where the first ended.
    for shape in ((3, 4), (5,)):
        assert torch.equal(alone.normal((1, *shape))[0], batch.normal((4, *shape))[1])


def test_a_seed_s_row_is_the_same_at_any_place_and_in_any_size():
    rows = [
        SeededNoise(seeds).normal((len(seeds), 6))[i] for seeds, i in (([7], 0), ([7, 8], 0), ([1, 2, 7], 2))
    ]
    assert torch.equal(rows[0], rows[1])
    assert torch.equal(rows[0], rows[2])


def test_different_seeds_draw_different_rows():
    rows = SeededNoise(range(20)).normal((20, 3))
    for i, j in itertools.combinations(range(20), 2):
        assert not torch.equal(rows[i], rows[j])


def test_draws_go_on_rather_than_repeat():
    noise = SeededNoise([7])
    assert not torch.equal(noise.normal((1, 4)), noise.normal((1, 4)))


def test_noise_is_standard_normal_in_float32_on_the_cpu():
    x = SeededNoise([1, 2]).normal((2, 50, 200))
    assert x.shape == (2, 50, 200)
    assert x.dtype == torch.float32
    assert x.device.type == "cpu"
    # Five standard errors of 20,000 numbers' mean and variance.
    assert abs(float(x.mean())) < 5 / 20_000**0.5
    assert abs(float(x.var()) - 1) < 5 * (2 / 20_000) ** 0.5


def test_the_global_generator_is_left_alone():
    before = torch.random.get_rng_state()
    SeededNoise([7]).normal((1, 3))
    torch.rand(3, generator=generator(1, "x"))
    assert torch.equal(torch.random.get_rng_state(), before)


def test_the_wrong_number_of_rows_is_an_error():
    with pytest.raises(ValueError, match=r"3 rows of noise.* 2 seeds"):
        SeededNoise([1, 2]).normal((3, 4))


def test_a_generator_depends_on_each_of_its_arguments():
    base = (1, "noise", 2)
    others = [(2, "noise", 2), (1, "times", 2), (1, "noise", 3), (1, "noise/2", 0), (12, "noise", 2)]
    first = torch.rand(4, generator=generator(*base))
    assert torch.equal(first, torch.rand(4, generator=generator(*base)))
    for arguments in others:
        assert not torch.equal(first, torch.rand(4, generator=generator(*arguments)))


def test_the_index_is_0_unless_given():
    assert generator(5, "noise").initial_seed() == generator(5, "noise", 0).initial_seed()


def test_a_generator_s_seed_is_pinned_across_versions():
    # A run must resume under a later version: sha256("5/noise/0"), its first 8 bytes, halved.
    import hashlib

    digest = hashlib.sha256(b"5/noise/0").digest()
    assert generator(5, "noise").initial_seed() == int.from_bytes(digest[:8], "little") // 2

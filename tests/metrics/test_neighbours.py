"""Nearest training examples, held against every pair."""

import torch

from sfumato.data import Dataset, Split
from sfumato.data.store import MemoryStore
from sfumato.metrics import nearest, neighbours
from sfumato.metrics.neighbours import memorisation
from sfumato.randomness import generator


def pictures(count, seed):
    return torch.randint(256, (count, 3, 8, 8), generator=generator(seed, "pictures"), dtype=torch.uint8)


def vectors(count, seed):
    return torch.randn(count, 5, generator=generator(seed, "vectors")) + 1000


def brute(queries, examples):
    gaps = queries.flatten(1)[:, None].double() - examples.flatten(1)[None].double()
    return gaps.square().sum(2).sqrt().min(1)


def test_agrees_with_every_pair_whatever_the_block(monkeypatch):
    for draw in (pictures, vectors):
        queries, examples = draw(9, 0), draw(101, 1)
        expected = brute(queries, examples)
        for size in (1, 10_000, neighbours.BLOCK_BYTES):
            monkeypatch.setattr(neighbours, "BLOCK_BYTES", size)
            rows, distances = nearest(queries, MemoryStore(examples))
            assert torch.equal(rows, expected.indices)
            assert torch.allclose(distances, expected.values, rtol=1e-12)


def test_copies_are_at_exactly_zero():
    for draw in (pictures, vectors):
        examples = draw(50, 1)
        rows, distances = nearest(examples[[7, 31]], MemoryStore(examples))
        assert rows.tolist() == [7, 31]
        assert distances.tolist() == [0, 0]


def parts(train, held_out):
    return Dataset("x", "x", Split(MemoryStore(train), None), Split(MemoryStore(held_out), None))


def test_ratio_is_one_for_new_samples_and_counts_copies():
    train, held_out, new = pictures(300, 1), pictures(60, 2), pictures(60, 3)
    found = memorisation(new, parts(train, held_out), 0)
    assert 0.9 < found.ratio < 1.1
    assert found.copies == 0
    assert found.warnings() == ()
    half = memorisation(torch.cat([new[:10], train[:20]]), parts(train, held_out), 0)
    assert half.copies == 20
    assert half.indices[10:] == tuple(range(20))


def test_ratio_is_unknown_without_a_measure():
    train = pictures(20, 1)
    assert memorisation(train[:4], parts(train, train[:0]), 0).ratio is None
    assert memorisation(train[:4], parts(train, train[:9]), 0).ratio is None

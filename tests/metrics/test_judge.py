"""The judges: what they read, that they can be trained again, and that their cache can be trusted."""

import json
import os

import pytest
import torch
from safetensors.torch import load_file, save_file

from sfumato.data import Dataset, Split, load_data
from sfumato.data.store import MemoryStore
from sfumato.errors import DataError
from sfumato.metrics import cost, default_cache_dir, judge_for
from sfumato.metrics.cache import cache_key, cache_path
from sfumato.metrics.classifier import examples_seen, shifted
from sfumato.metrics.network import fresh_network
from sfumato.metrics.tasks import Rotations
from sfumato.randomness import generator


@pytest.fixture
def pictures(digits):
    return digits.held_out.store.take(torch.arange(64))


def file_of(dataset, folder, seed=0):
    return cache_path(folder, cache_key(dataset.content_hash, seed))


def test_reads_digits_it_has_not_seen(judge):
    assert judge.accuracy >= 0.97


def test_accuracy_is_that_of_the_held_out_split(judge, digits):
    examples, labels = digits.held_out.batch(torch.arange(len(digits.held_out)))
    assert judge.accuracy == pytest.approx(float((judge.read(examples) == labels).double().mean()))


def test_features_do_not_depend_on_the_batch(judge, pictures):
    together = judge.features(pictures)
    alone = torch.cat([judge.features(picture[None]) for picture in pictures])
    assert together.shape == (64, 64)
    assert together.dtype == torch.float64
    assert torch.allclose(together, alone, rtol=1e-4, atol=1e-4)


def test_kept_judge_equals_the_trained_one_and_is_not_trained_again(judge, digits, folder, pictures):
    told = []
    kept = judge_for(digits, folder, lambda done, total: told.append(done))
    assert told == []
    assert kept.accuracy == judge.accuracy
    assert torch.equal(kept.features(pictures), judge.features(pictures))
    assert cost(digits, folder) is None


def test_same_seed_same_judge_other_seed_other_file(bars, tmp_path):
    before = torch.random.get_rng_state()
    first = judge_for(bars, tmp_path / "a", seed=1)
    assert torch.equal(torch.random.get_rng_state(), before)
    again = judge_for(bars, tmp_path / "b", seed=1)
    other = judge_for(bars, tmp_path / "a", seed=2)
    examples = bars.held_out.store.take(torch.arange(8))
    assert torch.equal(first.features(examples), again.features(examples))
    assert not torch.equal(first.features(examples), other.features(examples))
    assert len(list((tmp_path / "a").iterdir())) == 2


def test_progress_ends_at_the_stated_work(bars, tmp_path):
    told = []
    judge_for(bars, tmp_path, lambda done, total: told.append((done, total)))
    assert told[-1] == (examples_seen(bars), examples_seen(bars))
    assert [done for done, _ in told] == sorted({done for done, _ in told})


def spoil_by_cutting(path):
    path.write_bytes(path.read_bytes()[:1000])


def spoil_by_noise(path):
    path.write_bytes(b"not a network")


def spoil_by_foreign_weights(path):
    save_file({"weight": torch.zeros(3)}, path)


def spoil_by_lacking_weights(path):
    weights = load_file(path)
    weights.popitem()
    save_file(weights, path, {"key": json.loads(path.with_suffix(".key").read_text()), "accuracy": "1.0"})


SPOILS = [spoil_by_cutting, spoil_by_noise, spoil_by_foreign_weights, spoil_by_lacking_weights]


@pytest.mark.parametrize("spoil", SPOILS)
def test_spoiled_cache_is_trained_again_and_mended(bars, tmp_path, spoil):
    sound = judge_for(bars, tmp_path)
    path = file_of(bars, tmp_path)
    path.with_suffix(".key").write_text(json.dumps(cache_key(bars.content_hash, 0)))
    spoil(path)
    told = []
    mended = judge_for(bars, tmp_path, lambda done, total: told.append(done))
    assert told
    assert mended.accuracy == sound.accuracy
    examples = bars.held_out.store.take(torch.arange(8))
    assert torch.equal(judge_for(bars, tmp_path).features(examples), sound.features(examples))
    assert not list(tmp_path.glob("*.part"))


def test_folder_that_cannot_be_made_costs_a_warning_only(bars, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    with pytest.warns(UserWarning, match="could not be kept"):
        judge = judge_for(bars, blocked)
    assert judge.accuracy > 0.8


def test_cache_folder_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("SFUMATO_CACHE", raising=False)
    assert default_cache_dir() == tmp_path / "sfumato"
    monkeypatch.setenv("SFUMATO_CACHE", str(tmp_path / "own"))
    assert default_cache_dir() == tmp_path / "own"


def test_cost_names_the_pictures(bars, tmp_path):
    said = cost(bars, tmp_path)
    assert said is not None
    assert "64 pictures" in said
    assert "seconds" in said


def test_unlabelled_pictures_are_judged_by_their_rotation(bars, tmp_path):
    pictures = bars.train.store.examples.clone()
    pictures[:, :, :2] = 255  # which way is up
    topped = Dataset(
        "topped", "drawn", *(Split(MemoryStore(part), None) for part in pictures.split([60, 20]))
    )
    judge = judge_for(topped, tmp_path)
    assert judge.read(pictures[:5]) is None
    assert "rotations" in judge.name
    assert judge.accuracy > 0.9
    assert judge.features(pictures[:5]).shape == (5, 64)


def test_nothing_held_out_leaves_the_accuracy_unknown(bars, tmp_path):
    empty = Split(MemoryStore(torch.zeros(0, 1, 8, 8, dtype=torch.uint8)), torch.zeros(0, dtype=torch.int64))
    alone = Dataset("bars", "drawn", bars.train, empty, bars.classes)
    assert judge_for(alone, tmp_path).accuracy is None
    assert judge_for(alone, tmp_path).accuracy is None


def test_wrong_shape_is_refused_with_both_shapes(judge):
    with pytest.raises(DataError, match=r"1×28×28.*1×8×8"):
        judge.features(torch.zeros(2, 1, 28, 28, dtype=torch.uint8))
    with pytest.raises(DataError, match="uint8"):
        judge.read(torch.zeros(2, 1, 8, 8))


def test_small_pictures_are_not_shifted():
    pictures = torch.randint(256, (40, 1, 8, 8), generator=generator(0, "still"), dtype=torch.uint8)
    assert torch.equal(shifted(pictures, generator(0, "shift")), pictures)


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 13, 13), (3, 33, 33), (1, 64, 64), (3, 72, 72)])
def test_network_takes_every_size(shape):
    net = fresh_network(shape, 5, generator(0, "sizes")).eval()
    x = torch.rand(2, *shape, generator=generator(1, "sizes"))
    assert net.features(x).shape == (2, 64)
    assert net(x).shape == (2, 5)
    assert net(x).isfinite().all()


def test_folding_keeps_fine_detail():
    net = fresh_network((1, 64, 64), 2, generator(0, "fold")).eval()
    checks = (torch.arange(64)[:, None] + torch.arange(64)) % 2
    x = checks.float().expand(1, 1, 64, 64)
    # Averaged over 2×2 both pictures would be the same grey.
    assert not torch.allclose(net.features(x), net.features(1 - x), atol=1e-3)


def test_shift_moves_by_whole_pixels_and_repeats_the_border():
    ramp = torch.arange(32, dtype=torch.uint8).expand(40, 1, 32, 32)
    moved = shifted(ramp, generator(0, "shift"))
    offsets = set((moved[:, 0, 5, 10].int() - 10).tolist())
    assert offsets == {-1, 0, 1}
    assert moved.max() == 31
    assert torch.equal(moved[:, :, 3], moved[:, :, 20])


def test_lessons_in_rotation_are_the_exam_questions():
    pictures = torch.arange(3 * 16, dtype=torch.uint8).reshape(3, 1, 4, 4)
    exam, answers = Rotations().exam(pictures, None)
    lesson, turns = Rotations().lesson(pictures, None, generator(0, "lesson"))
    assert answers.tolist() == [0] * 3 + [1] * 3 + [2] * 3 + [3] * 3
    for row, turn in enumerate(turns.tolist()):
        assert torch.equal(lesson[row], exam[3 * turn + row])


def test_vectors_are_their_own_features_and_read_by_neighbours():
    ring = load_data("ring")
    judge = judge_for(ring)
    examples, labels = ring.held_out.batch(torch.arange(50))
    assert torch.equal(judge.features(examples), examples.double())
    assert judge.accuracy > 0.95
    assert float((judge.read(examples) == labels).double().mean()) > 0.9
    assert cost(ring) is None
    with pytest.raises(DataError, match="not finite"):
        judge.features(torch.full((3, 2), float("nan")))


def test_unlabelled_vectors_have_no_reader():
    moons = load_data(torch.rand(100, 2, generator=generator(0, "plain")).numpy())
    judge = judge_for(moons)
    assert judge.accuracy is None
    assert judge.read(moons.train.store.take(torch.arange(3))) is None


@pytest.mark.skipif("SFUMATO_DATA" not in os.environ, reason="SFUMATO_DATA names no folder with mnist.npz")
@pytest.mark.slow
def test_reads_mnist(tmp_path):
    mnist = load_data(os.path.join(os.environ["SFUMATO_DATA"], "mnist.npz"))
    assert judge_for(mnist, tmp_path).accuracy >= 0.985

"""The binary layouts of MNIST and CIFAR."""

import gzip
import struct

import numpy as np
import pytest
import torch

from sfumato.data import load_data
from sfumato.data.idx import parse_idx
from sfumato.errors import DataError


def idx(array: np.ndarray) -> bytes:
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


@pytest.mark.parametrize("pack", [False, True])
@pytest.mark.parametrize("joint", ["-", "."])
def test_mnist(tmp_path, draw, zipped, pack, joint):
    folder = tmp_path / "mnist"
    (folder / "raw").mkdir(parents=True)
    train, test = draw(0, 5, 9, 9), draw(1, 3, 9, 9)
    for part, images, labels in (("train", train, [1, 0, 4, 1, 1]), ("t10k", test, [4, 4, 0])):
        for kind, array in (("images", images), ("labels", np.array(labels, np.uint8))):
            name = f"{part}-{kind}{joint}idx{array.ndim}-ubyte" + (".gz" if pack else "")
            (folder / "raw" / name).write_bytes(gzip.compress(idx(array)) if pack else idx(array))
    for source in (folder, zipped(folder)):
        data = load_data(source)
        assert np.array_equal(data.train.batch(torch.arange(5))[0][:, 0], train)
        assert np.array_equal(data.held_out.batch(torch.arange(3))[0][:, 0], test)
        assert data.classes == ("0", "1", "4")
        assert data.held_out.labels.tolist() == [2, 2, 0]


@pytest.mark.parametrize(
    "content", [b"", b"\0\0\x08", b"\0\0\x0d\x03" + bytes(12), b"\0\0\x08\x02" + bytes(8)]
)
def test_idx_of_another_kind_is_an_error(content):
    with pytest.raises(DataError, match="'digits' is not"):
        parse_idx(content, "digits")


def test_broken_idx_is_an_error(tmp_path, draw):
    whole = idx(draw(0, 5, 9, 9))
    with pytest.raises(DataError, match="bytes where its header needs"):
        parse_idx(whole[:-1], "digits")
    for content in (gzip.compress(whole)[:-9], b"no gzip"):
        (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(content)
        with pytest.raises(DataError, match="train-images-idx3-ubyte"):
            load_data(tmp_path)


def test_test_digits_alone_are_an_error(tmp_path, draw):
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(idx(draw(0, 5, 9, 9)))
    with pytest.raises(DataError, match="train-images"):
        load_data(tmp_path)


def records(images: np.ndarray, *labels: list[int]) -> bytes:
    return np.concatenate([np.array(labels, np.uint8).T, images.reshape(len(images), -1)], 1).tobytes()


def test_cifar_10(tmp_path, draw, tarred):
    folder = tmp_path / "cifar-10-batches-bin"
    folder.mkdir()
    one, two, test = draw(0, 2, 3, 32, 32), draw(1, 2, 3, 32, 32), draw(2, 1, 3, 32, 32)
    (folder / "data_batch_1.bin").write_bytes(records(one, [0, 2]))
    (folder / "data_batch_2.bin").write_bytes(records(two, [1, 1]))
    (folder / "test_batch.bin").write_bytes(records(test, [2]))
    (folder / "batches.meta.txt").write_text("plane\nauto\nbird\nnever seen\n\n")
    for source in (folder, tarred(folder, "gz")):
        data = load_data(source)
        assert data.classes == ("plane", "auto", "bird", "never seen")
        assert np.array_equal(data.train.batch(torch.arange(4))[0], np.concatenate([one, two]))
        assert data.train.labels.tolist() == [0, 2, 1, 1]
        assert np.array_equal(data.held_out.batch(torch.arange(1))[0], test)


def test_cifar_100_takes_the_fine_label(tmp_path, draw):
    (tmp_path / "train.bin").write_bytes(records(draw(0, 2, 3, 32, 32), [9, 9], [1, 0]))
    (tmp_path / "fine_label_names.txt").write_text("apple\nbear\n")
    data = load_data(tmp_path, held_out=0)
    assert data.classes == ("apple", "bear")
    assert data.train.labels.tolist() == [1, 0]


def test_broken_cifar_is_an_error(tmp_path, draw):
    content = records(draw(0, 2, 3, 32, 32), [0, 5])
    (tmp_path / "batches.meta.txt").write_text("plane\n")
    (tmp_path / "data_batch_1.bin").write_bytes(content[:-1])
    with pytest.raises(DataError, match="multiple of 3073"):
        load_data(tmp_path)
    (tmp_path / "data_batch_1.bin").write_bytes(content)
    with pytest.raises(DataError, match="Label 5"):
        load_data(tmp_path)


@pytest.mark.parametrize("name", ["cifar-10-batches-py/test_batch", "data_batch_3", "cifar-100-python/train"])
def test_pickles_are_refused_with_a_remedy(tmp_path, name):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"\x80\x02}.")
    with pytest.raises(DataError, match="binary version"):
        load_data(tmp_path)

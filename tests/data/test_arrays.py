"""Arrays: shapes, ranges, named arrays, labels."""

import numpy as np
import pytest
import torch

from sfumato.data import load_data
from sfumato.errors import DataError


@pytest.mark.parametrize("axes", ["NHW", "NHW1", "NHW3", "N1HW", "N3HW"])
@pytest.mark.parametrize("kind", ["uint8", "int64", "float32", "float64"])
def test_every_layout_and_type_keeps_its_bytes(draw, axes, kind):
    channels = 3 if "3" in axes else 1
    pixels = draw(0, 5, channels, 10, 10)
    array = pixels.astype(kind) / 255 if kind.startswith("float") else pixels.astype(kind)
    array = array[:, 0] if axes == "NHW" else array
    array = np.moveaxis(array, 1, 3) if axes in ("NHW1", "NHW3") else array
    data = load_data(array, held_out=0)
    assert data.shape == (channels, 10, 10)
    assert np.array_equal(data.train.batch(torch.arange(5))[0], pixels)


def test_booleans_are_black_and_white(draw):
    mask = draw(0, 4, 8, 8) > 127
    images, _ = load_data(mask, held_out=0).train.batch(torch.arange(4))
    assert np.array_equal(images[:, 0], mask * 255)


@pytest.mark.parametrize("last", [True, False])
def test_four_channels_lie_over_the_background(last):
    clear = np.zeros((3, 9, 9, 4) if last else (3, 4, 9, 9), np.uint8)
    images, _ = load_data(clear, background="red", held_out=0).train.batch(torch.arange(3))
    assert images.shape == (3, 3, 9, 9)
    assert images[0, :, 4, 4].tolist() == [255, 0, 0]


def test_grey_in_three_channels_becomes_one(draw):
    assert load_data(np.repeat(draw(0, 4, 8, 8, 1), 3, 3)).shape == (1, 8, 8)


def test_arrays_are_cropped_and_resized(draw):
    assert load_data(draw(0, 4, 10, 20)).shape == (1, 10, 10)
    assert load_data(draw(0, 4, 10, 20, 3), size=16, channels=1).shape == (1, 16, 16)


def test_vectors():
    array = np.arange(12.0).reshape(6, 2)
    data = load_data(array, held_out=0)
    assert data.shape == (2,)
    assert not data.is_pictures
    examples, _ = data.train.batch(torch.tensor([5, 0]))
    assert examples.dtype == torch.float32
    assert examples.tolist() == [[10, 11], [0, 1]]


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((4, 5, 9), np.uint8), "5 pixels"),
        (np.zeros((4, 8, 8), np.float32) - 1, r"\[-1, 1\]"),
        (np.full((4, 8, 8), 2.0), "from 2 to 2"),
        (np.full((4, 8, 8), np.nan), "nan"),
        (np.full((4, 8, 8), 256), "256"),
        (np.array([[0.0, 1.0], [np.inf, 0.0]]), "Row 1"),
        (np.zeros(9), "shape"),
        (np.zeros((4, 8, 8, 2), np.uint8), r"\(4, 8, 8, 2\)"),
        (np.zeros((4, 3, 8, 8, 8), np.uint8), "shape"),
        (np.zeros((0, 8, 8), np.uint8), "empty"),
        (np.zeros((1, 8, 8), np.uint8), "1 readable"),
        (np.zeros((1, 2)), "1 readable"),
        (np.array([["a", "b"]]), "type"),
        (np.zeros((4, 2), complex), "type"),
    ],
)
def test_unfit_arrays_are_errors(array, message):
    with pytest.raises(DataError, match=message):
        load_data(array)


@pytest.mark.parametrize(
    "names",
    [
        ("images", "labels", None, None),
        ("x", "y", None, None),
        ("train_images", "train_labels", "test_images", "test_labels"),
        ("x_train", "y_train", "x_test", "y_test"),
        ("images", None, None, None),
    ],
)
def test_named_arrays(tmp_path, draw, names):
    arrays = (draw(0, 6, 8, 8), np.array([3, 7, 7, 3, 3, 7]), draw(1, 2, 8, 8), np.array([[7], [5]]))
    np.savez(tmp_path / "set.npz", **{name: array for name, array in zip(names, arrays, strict=True) if name})
    data = load_data(tmp_path / "set.npz", held_out=0.34)
    own = names[2] is not None
    assert data.name == "set"
    assert (len(data.train), len(data.held_out)) == ((6, 2) if own else (4, 2))
    assert data.classes == (() if names[1] is None else ("3", "5", "7") if own else ("3", "7"))
    if own:
        assert data.train.labels.tolist() == [0, 2, 2, 0, 0, 2]
        assert data.held_out.labels.tolist() == [2, 1]
        assert np.array_equal(data.held_out.batch(torch.arange(2))[0][:, 0], arrays[2])


def test_a_single_array_and_its_file_agree_streamed_or_not(tmp_path, draw):
    array = draw(0, 9, 8, 8)
    np.save(tmp_path / "set.npy", array)
    sources = (array, tmp_path / "set.npy")
    loaded = [load_data(source, memory_limit=limit) for source in sources for limit in (9, 999)]
    assert [data.train.store.in_memory for data in loaded] == [False, True, False, True]
    assert len({data.content_hash for data in loaded}) == 1
    assert len({tuple(data.train.batch(torch.arange(8))[0].flatten().tolist()) for data in loaded}) == 1


def test_unknown_names_are_listed(tmp_path):
    np.savez(tmp_path / "set.npz", faces=np.zeros((4, 8, 8), np.uint8))
    with pytest.raises(DataError, match=r"faces.*train_images"):
        load_data(tmp_path / "set.npz")


@pytest.mark.parametrize("labels", [np.zeros(3), np.full(4, 0.5), np.zeros((4, 2)), np.zeros(4, complex)])
def test_labels_that_do_not_fit_are_errors(tmp_path, draw, labels):
    np.savez(tmp_path / "set.npz", images=draw(0, 4, 8, 8), labels=labels)
    with pytest.raises(DataError, match=r"set\.npz.*Labels"):
        load_data(tmp_path / "set.npz")


@pytest.mark.parametrize("labels", [["b", "a", "b", "a"], [b"b", b"a", b"b", b"a"]])
def test_labels_may_be_names(tmp_path, draw, labels):
    np.savez(tmp_path / "set.npz", images=draw(0, 4, 8, 8), labels=labels)
    data = load_data(tmp_path / "set.npz", held_out=0)
    assert data.classes == ("a", "b")
    assert data.train.labels.tolist() == [1, 0, 1, 0]


def test_splits_that_do_not_go_together_are_errors(tmp_path, draw):
    np.savez(tmp_path / "shape.npz", x_train=draw(0, 4, 8, 8), x_test=draw(0, 4, 9, 9))
    with pytest.raises(DataError, match="do not go with"):
        load_data(tmp_path / "shape.npz")
    np.savez(tmp_path / "half.npz", x_train=draw(0, 4, 8, 8), y_train=np.zeros(4), x_test=draw(0, 4, 8, 8))
    with pytest.raises(DataError, match="both have labels"):
        load_data(tmp_path / "half.npz")


@pytest.mark.parametrize("name", ["set.npy", "set.npz"])
def test_objects_are_never_unpickled(tmp_path, name):
    objects = np.array([{}, {}], dtype=object)
    if name == "set.npy":
        np.save(tmp_path / name, objects, allow_pickle=True)
    else:
        np.savez(tmp_path / name, images=objects)
    with pytest.raises(DataError, match="can run code"):
        load_data(tmp_path / name)


@pytest.mark.parametrize("name", ["set.npy", "set.npz"])
@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 and no more", b"\x93NUMPY\x01\x00", b"hello"])
def test_broken_files_are_errors(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=name):
        load_data(tmp_path / name)

"""The Hugging Face hub's own formats, as its library writes them."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import torch

from sfumato.data import Dataset, load_data
from sfumato.errors import DataError

pyarrow = pytest.importorskip("pyarrow", reason="the extra sfumato[hub] is not installed")
parquet_format = pytest.importorskip("pyarrow.parquet")

KINDS = ("cat", "dog", "never seen")


def table(encoded, seeds: Iterable[int], image: str = "image", **changed: Any) -> Any:  # type: ignore[no-untyped-def]
    """Return pictures with columns as `datasets` 5.2 writes them: storage types, and features as JSON.

    changed: other values of a column, or None to leave it out.
    """
    seeds = list(seeds)
    columns: dict[str, Any] = {
        image: pyarrow.array(
            [{"bytes": encoded(seed), "path": None} for seed in seeds],
            pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())]),
        ),
        "label": pyarrow.array([seed % 2 for seed in seeds], pyarrow.int64()),
        "text": pyarrow.array([f"nr {seed}" for seed in seeds]),
        "tall": pyarrow.array([seed % 3 == 0 for seed in seeds]),
    }
    columns = {name: value for name, value in (columns | changed).items() if value is not None}
    features = {
        image: {"_type": "Image"},
        "label": {"names": list(KINDS), "_type": "ClassLabel"},
        "text": {"dtype": "string", "_type": "Value"},
        "tall": {"dtype": "bool", "_type": "Value"},
    }
    described = {name: features[name] for name in columns if name in features}
    return pyarrow.table(columns).replace_schema_metadata(
        {"huggingface": json.dumps({"info": {"features": described}})}
    )


def as_parquet(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet_format.write_table(content, path, row_group_size=2)


def as_arrow(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with pyarrow.ipc.new_stream(str(path), content.schema) as writer:
        writer.write_table(content, max_chunksize=2)


@pytest.fixture
def parquet(tmp_path, encoded) -> Path:  # type: ignore[no-untyped-def]
    """Seven pictures to train on, in two shards, and three to test, as the hub lays them out."""
    root = tmp_path / "pets"
    for part, seeds in (("train-00000-of-00002", range(4)), ("train-00001-of-00002", range(4, 7))):
        as_parquet(root / "data" / f"{part}.parquet", table(encoded, seeds))
    as_parquet(root / "data" / "test-00000-of-00001.parquet", table(encoded, range(7, 10)))
    (root / "README.md").write_text("---\nlicense: mit\n---\n")
    (root / ".gitattributes").write_text("*.parquet filter=lfs")
    return root


def check(data: Dataset) -> None:
    assert data.classes == KINDS
    assert data.attributes == ("tall",)
    for split, seeds in ((data.train, range(7)), (data.held_out, range(7, 10))):
        assert split.labels is not None
        assert split.attributes is not None
        assert split.labels.tolist() == [seed % 2 for seed in seeds]
        assert split.captions == tuple(f"nr {seed}" for seed in seeds)
        assert split.attributes[:, 0].tolist() == [seed % 3 == 0 for seed in seeds]


def test_parquet_shards_are_one_set_with_their_splits(parquet):
    check(load_data(parquet))


def test_pictures_of_a_table_are_those_of_a_folder(parquet, tmp_path, picture):
    lines = {"train": ["file_name,label,text,tall"], "test": ["file_name,label,text,tall"]}
    for seed in range(10):
        split = "train" if seed < 7 else "test"
        picture(tmp_path / "folder" / split / f"{seed}.png", seed)
        lines[split].append(f"{seed}.png,{KINDS[seed % 2]},nr {seed},{seed % 3 == 0}")
    for split, text in lines.items():
        (tmp_path / "folder" / split / "metadata.csv").write_text("\n".join(text))
    plain, hub = load_data(tmp_path / "folder"), load_data(parquet)
    everything = torch.arange(7)
    assert torch.equal(plain.train.batch(everything)[0], hub.train.batch(everything)[0])
    assert plain.train.captions == hub.train.captions
    assert torch.equal(plain.train.attributes, hub.train.attributes)


def test_features_of_lists_and_no_description_at_all_are_no_classes(tmp_path, encoded):
    plain = table(encoded, range(4))
    features = {"label": [{"_type": "ClassLabel", "names": list(KINDS)}], "text": [{"dtype": "string"}]}
    for place, told in enumerate(({"info": {"features": features}}, {"info": None})):
        described = plain.replace_schema_metadata({"huggingface": json.dumps(told)})
        as_parquet(tmp_path / str(place) / "train.parquet", described)
        assert load_data(tmp_path / str(place)).classes == ("0", "1")


def test_a_table_without_pictures_is_an_index_of_those_beside_it(tmp_path, encoded, sharded, picture):
    """As img2dataset writes: a shard, and what it knows of each of its pictures."""
    index = table(encoded, range(4), image="none", none=None)
    shard = {f"{place}.{kind}": text for place in range(4) for kind, text in sample(encoded, place).items()}
    sharded(tmp_path / "shards" / "00000.tar", shard)
    as_parquet(tmp_path / "shards" / "00000.parquet", index)
    assert load_data(tmp_path / "shards", held_out=0).train.captions == tuple(f"nr {i}" for i in range(4))
    for place in range(4):
        picture(tmp_path / "folder" / f"c{place % 2}" / f"{place}.png", place)
    as_parquet(tmp_path / "folder" / "embeddings.parquet", index)
    assert load_data(tmp_path / "folder").classes == ("c0", "c1")
    as_parquet(tmp_path / "alone" / "embeddings.parquet", index)
    with pytest.raises(DataError, match="no column of pictures"):
        load_data(tmp_path / "alone")


def test_a_test_split_without_labels_is_left_out_and_says_so(tmp_path, encoded):
    """As of a competition, whose answers the hub marks with −1."""
    as_parquet(tmp_path / "train-00000.parquet", table(encoded, range(8)))
    secret = table(encoded, range(8, 12), label=pyarrow.array([-1] * 4, pyarrow.int64()))
    as_parquet(tmp_path / "test-00000.parquet", secret)
    data = load_data(tmp_path, held_out=0.25)
    assert (len(data.train), len(data.held_out)) == (6, 2)
    assert {item.reason for item in data.skipped} == {"no label in its row"}


def sample(encoded, place: int) -> dict[str, bytes]:  # type: ignore[no-untyped-def]
    return {"png": encoded(place), "txt": f"nr {place}".encode()}


def test_what_is_saved_to_disk_is_the_same(parquet, tmp_path, encoded):
    root = tmp_path / "saved"
    for split, seeds in (("train", range(7)), ("test", range(7, 10))):
        as_arrow(root / split / "data-00000-of-00001.arrow", table(encoded, seeds))
        as_arrow(root / split / "cache-1a2b3c.arrow", table(encoded, range(40, 45)))  # left by a map
        (root / split / "state.json").write_text(
            '{"_data_files": [{"filename": "data-00000-of-00001.arrow"}]}'
        )
        (root / split / "dataset_info.json").write_text("{}")
    (root / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    check(load_data(root))
    assert load_data(root).content_hash == load_data(parquet).content_hash
    streamed = load_data(root, memory_limit=1000)  # arrow is read in place, whatever its size
    assert not streamed.train.store.in_memory
    assert streamed.content_hash == load_data(parquet).content_hash


@pytest.mark.parametrize(
    "folder", ["default/train/0000.parquet", "train-00000-of-00001-9c1f.parquet", "rest.parquet"]
)
def test_one_table_is_a_set_wherever_it_lies(tmp_path, encoded, folder):
    as_parquet(tmp_path / "set" / folder, table(encoded, range(5)))
    whole, alone = load_data(tmp_path / "set", held_out=0), load_data(tmp_path / "set" / folder, held_out=0)
    assert whole.content_hash == alone.content_hash
    assert len(whole.train) == 5


def test_columns_of_other_names(tmp_path, encoded):
    """CIFAR-100 has `img` and two labels; Flickr several captions a picture; neither has attributes."""
    content = table(
        encoded, range(3), "img", text=None, tall=None,
        coarse=pyarrow.array([7, 8, 9]), caption=pyarrow.array([["a", "b"], [" ", "c"], ["d  e"]]),
    )  # fmt: skip
    as_parquet(tmp_path / "set.parquet", content)
    data = load_data(tmp_path / "set.parquet", held_out=0)
    assert data.train.captions == ("a", "c", "d e")
    assert data.train.labels is not None
    assert data.train.labels.tolist() == [0, 1, 0]
    assert data.attributes == ()


def test_a_table_that_describes_itself_not(tmp_path, encoded):
    """Written by another program: bytes as they are, labels by name."""
    bare = pyarrow.table({"png": [encoded(seed) for seed in range(3)], "label": ["b", "a", "b"]})
    for place, metadata in enumerate((None, {"huggingface": "no JSON"}, {"huggingface": "{}"})):
        as_parquet(tmp_path / f"{place}.parquet", bare.replace_schema_metadata(metadata))
        data = load_data(tmp_path / f"{place}.parquet", held_out=0)
        assert data.classes == ("a", "b")
        assert data.train.labels is not None
        assert data.train.labels.tolist() == [1, 0, 1]


def test_rows_that_lack_something_are_left_out_and_named(tmp_path, encoded):
    content = table(
        encoded, range(6), label=pyarrow.array([0, -1, 1, 1, None, 0]), text=["a", "b", " ", "d", "e", "f"]
    )  # fmt: skip
    pictures = content["image"].to_pylist()
    pictures[5]["bytes"] = None
    holed = pyarrow.array(pictures, content["image"].type)
    as_parquet(tmp_path / "holes.parquet", content.set_column(0, "image", holed))
    data = load_data(tmp_path / "holes.parquet", held_out=0)
    assert data.train.captions == ("a", "d")
    assert {item.name: item.reason for item in data.skipped} == {
        "holes.parquet, row 1": "no label in its row",
        "holes.parquet, row 2": "no caption in its row",
        "holes.parquet, row 4": "no label in its row",
        "holes.parquet, row 5": "its row holds no bytes",
    }


def test_tables_that_are_no_pictures_say_what_they_hold(tmp_path, parquet, encoded):
    as_parquet(tmp_path / "words.parquet", pyarrow.table({"text": ["a", "b"], "n": [1, 2]}))
    with pytest.raises(DataError, match=r"no column of pictures.*text, n"):
        load_data(tmp_path / "words.parquet")
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 and no more")
    (tmp_path / "broken.arrow").write_bytes(b"no stream")
    for name in ("broken.parquet", "broken.arrow"):
        with pytest.raises(DataError, match=f"{name}' cannot be read as a table"):
            load_data(tmp_path / name)
    with pytest.raises(DataError, match=r"save_to_disk"):
        load_data(parquet, memory_limit=100)
    as_parquet(parquet / "data" / "train-00002-of-00003.parquet", table(encoded, range(3), text=None))
    with pytest.raises(DataError, match="lacks the column 'text'"):
        load_data(parquet)


def test_several_sets_in_one_folder_are_an_error_that_names_them(tmp_path, encoded):
    for form in ("full", "cropped"):
        as_parquet(tmp_path / form / "train-00000-of-00001.parquet", table(encoded, range(3)))
    with pytest.raises(DataError, match="'cropped', 'full': give the folder of one"):
        load_data(tmp_path)
    assert len(load_data(tmp_path / "full", held_out=0).train) == 3


def test_without_pyarrow_the_error_says_what_to_install(parquet, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(DataError, match=r"pip install 'sfumato\[hub\]'"):
        load_data(parquet)

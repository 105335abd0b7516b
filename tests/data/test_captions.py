"""Captions and classes beside pictures in folders, archives and shards, and what is said of those without."""

import json
from pathlib import Path

import pytest
import torch

from sfumato.data import Dataset, load_data
from sfumato.errors import DataError

WORDS = ("a red hat", "two\n  green hats ", "snow — no hat", "nothing at all")


def captions(dataset: Dataset) -> dict[str, int]:
    """Return each caption with the sum of its picture's bytes, which tells the pictures apart."""
    found = {}
    for split in (dataset.train, dataset.held_out):
        assert split.captions is not None
        sums = split.store.take(torch.arange(len(split))).long().sum((1, 2, 3)).tolist()
        found |= dict(zip(split.captions, sums, strict=True))
    return found


@pytest.fixture
def hats(tmp_path: Path, picture) -> Path:  # type: ignore[no-untyped-def]
    """Four pictures, each with its caption beside it, and a text that belongs to none."""
    for seed, words in enumerate(WORDS):
        picture(tmp_path / "hats" / f"{seed}.png", seed)
        (tmp_path / "hats" / f"{seed}.txt").write_text(words, encoding="utf-8-sig" if seed else "utf-8")
    (tmp_path / "hats" / "README.txt").write_text("no caption of ours")
    return tmp_path / "hats"


def test_a_text_beside_a_picture_is_its_caption_in_one_line(hats, encoded):
    data = load_data(hats, held_out=0)
    assert data.train.captions == ("a red hat", "two green hats", "snow — no hat", "nothing at all")
    assert data.train.labels is None
    assert data.skipped == ()


def test_captions_stay_with_their_pictures_when_some_are_held_out(hats):
    assert captions(load_data(hats, held_out=0.5)) == captions(load_data(hats, held_out=0))


def test_a_table_and_texts_beside_pictures_say_the_same(hats, tmp_path, picture):
    lines = [f'{seed}.png,"{" ".join(words.split())}"' for seed, words in enumerate(WORDS)]
    for seed in range(len(WORDS)):
        picture(tmp_path / "table" / f"{seed}.png", seed)
    (tmp_path / "table" / "metadata.csv").write_text("\n".join(["file_name,text", *lines]))
    assert load_data(tmp_path / "table").content_hash == load_data(hats).content_hash


def test_classes_by_folder_go_with_captions(tmp_path, picture):
    for seed in range(4):
        path = picture(tmp_path / ("cat" if seed < 2 else "dog") / f"{seed}.png", seed)
        path.with_suffix(".txt").write_text(f"nr {seed}")
    data = load_data(tmp_path, held_out=0)
    assert data.classes == ("cat", "dog")
    assert data.train.labels is not None
    assert data.train.labels.tolist() == [0, 0, 1, 1]
    assert data.train.captions == ("nr 0", "nr 1", "nr 2", "nr 3")


@pytest.mark.parametrize("left", [None, b"", b" \n", b"\xff\xfe\xff"])
def test_a_picture_without_caption_is_left_out_and_named(hats, left):
    (hats / "2.txt").unlink()
    if left is not None:
        (hats / "2.txt").write_bytes(left)
    data = load_data(hats, held_out=0)
    assert data.train.captions == ("a red hat", "two green hats", "nothing at all")
    assert [(item.name, item.reason) for item in data.skipped] == [("2.png", "no caption beside it")]


def test_pictures_that_mostly_lack_captions_are_an_error_that_names_some(hats, picture):
    for seed in range(4, 9):
        picture(hats / f"{seed}.png", seed)
    with pytest.raises(DataError, match=r"5 of 9 pictures have no caption .*'4\.png', '5\.png', '6\.png', …"):
        load_data(hats)


def test_a_table_with_an_empty_text_leaves_out_its_picture(tmp_path, picture):
    for seed in range(3):
        picture(tmp_path / f"{seed}.png", seed)
    (tmp_path / "metadata.csv").write_text("file_name,text\n0.png,zero\n1.png,\n2.png,two\n")
    data = load_data(tmp_path, held_out=0)
    assert data.train.captions == ("zero", "two")
    assert [(item.name, item.reason) for item in data.skipped] == [("1.png", "no caption in metadata.csv")]
    (tmp_path / "metadata.csv").write_text("file_name,text\n0.png,zero\n1.png,\n2.png,\n")
    with pytest.raises(
        DataError, match=r"2 of 3 pictures have no caption in metadata\.csv \('1\.png', '2\.png'\)"
    ):
        load_data(tmp_path)


def sample(encoded, seed: int, **beside: str) -> dict[str, bytes]:  # type: ignore[no-untyped-def]
    """Return one sample of a shard: its picture, and what lies beside it by ending."""
    texts = {f"{seed:06}.{ending}": text.encode() for ending, text in beside.items()}
    return {f"{seed:06}.png": encoded(seed)} | texts


def test_shards_are_one_set(tmp_path, sharded, encoded):
    """Their names are no classes, and what lies beside a picture is that of its own shard."""
    for place in range(3):
        both = sample(encoded, 0, txt=f"first of {place}", cls="7") | sample(
            encoded, 9, txt=f"{place}", cls="10"
        )
        sharded(tmp_path / "set" / "data" / f"shard-{place:04}.tar", both)
    (tmp_path / "set" / "README.md").write_text("# set")
    data = load_data(tmp_path / "set", held_out=0)
    assert data.train.captions == ("first of 0", "0", "first of 1", "1", "first of 2", "2")
    assert data.classes == ("7", "10")
    assert data.train.labels is not None
    assert data.train.labels.tolist() == [0, 1, 0, 1, 0, 1]


def test_one_shard_is_its_folder_unpacked(tmp_path, sharded, encoded):
    content = sample(encoded, 0, txt="zero") | sample(encoded, 1, txt="one") | sample(encoded, 2, txt="two")
    shard = sharded(tmp_path / "0000.tar", content)
    (tmp_path / "plain").mkdir()
    for name, data in content.items():
        (tmp_path / "plain" / name).write_bytes(data)
    assert load_data(shard).content_hash == load_data(tmp_path / "plain").content_hash


@pytest.mark.parametrize(
    "names",
    [
        ("train-0000.tar", "train-0001.tar", "test-0000.tar"),
        ("train/0000.tar", "train/0001.tar", "val/0000.tar"),
    ],
)
def test_shards_name_their_split(tmp_path, sharded, encoded, names):
    for place, name in enumerate(names):
        sharded(
            tmp_path / "data" / name, sample(encoded, place, txt=name) | sample(encoded, 9, txt=f"9 {name}")
        )
    data = load_data(tmp_path)
    assert data.train.captions == (names[0], f"9 {names[0]}", names[1], f"9 {names[1]}")
    assert data.held_out.captions == (names[2], f"9 {names[2]}")
    assert data.classes == ()


@pytest.mark.parametrize("key", ["caption", "text"])
def test_json_beside_a_picture_gives_its_caption_where_no_text_does(tmp_path, sharded, encoded, key):
    content: dict[str, bytes] = {}
    for seed in range(3):
        content |= sample(encoded, seed, json=json.dumps({key: f" nr  {seed}", "width": 12}))
    content["000001.txt"] = b"from the text"
    content |= sample(encoded, 7, json="[]") | sample(encoded, 8, json="{no json")
    data = load_data(sharded(tmp_path / "0.tar", content), held_out=0)
    assert data.train.captions == ("nr 0", "from the text", "nr 2")
    assert [item.name for item in data.skipped] == ["000007.png", "000008.png"]


def test_json_that_says_nothing_of_captions_makes_no_captions(tmp_path, sharded, encoded):
    content = sample(encoded, 0, json='{"width": 12}') | sample(encoded, 1, json='{"width": 12}')
    data = load_data(sharded(tmp_path / "0.tar", content), held_out=0)
    assert data.train.captions is None
    assert data.skipped == ()


def test_pictures_beside_shards_are_an_error(tmp_path, sharded, encoded, picture):
    """Else three previews in a repository of a million pictures would be the data set."""
    sharded(tmp_path / "data" / "part-0000.tar", sample(encoded, 0) | sample(encoded, 1))
    picture(tmp_path / "assets" / "preview.png", 5)
    with pytest.raises(
        DataError, match=r"'data/part-0000\.tar' first, and 1 beside them, 'assets/preview\.png'"
    ):
        load_data(tmp_path)
    assert len(load_data(tmp_path / "data", held_out=0).train) == 2


def test_an_archive_beside_pictures_is_left_alone(tmp_path, sharded, encoded, picture):
    for seed in range(3):
        picture(tmp_path / f"{seed}.png", seed)
    sharded(tmp_path / "photos-2024.tar", sample(encoded, 7))
    assert len(load_data(tmp_path, held_out=0).train) == 3


def test_an_archive_in_a_folder_is_read_as_it_came(tmp_path, picture, zipped):
    for seed in range(4):
        picture(tmp_path / "pets" / f"c{seed % 2}" / f"{seed}.png", seed)
    plain = load_data(tmp_path / "pets")
    (tmp_path / "download").mkdir()
    zipped(tmp_path / "pets").rename(tmp_path / "download" / "pets.zip")
    assert load_data(tmp_path / "download").content_hash == plain.content_hash


def test_a_broken_shard_is_named(tmp_path, sharded, encoded):
    sharded(tmp_path / "set" / "0000.tar", sample(encoded, 0) | sample(encoded, 1))
    (tmp_path / "set" / "0001.tar").write_bytes(b"half")
    with pytest.raises(DataError, match=r"0001\.tar"):
        load_data(tmp_path / "set")

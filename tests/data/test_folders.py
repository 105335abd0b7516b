"""Folders of pictures and archives of them: names, classes, captions, splits, and what is left out."""

import gzip
import os
import stat
import tarfile
import zipfile
from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image

from sfumato.data import Dataset, load_data
from sfumato.errors import DataError


def count(dataset: Dataset) -> int:
    return len(dataset.train) + len(dataset.held_out)


def labels(dataset: Dataset) -> list[int]:
    assert dataset.train.labels is not None
    assert dataset.held_out.labels is not None
    return sorted(torch.cat([dataset.train.labels, dataset.held_out.labels]).tolist())


@pytest.fixture
def pets(tmp_path, picture):
    """Three cats, two dogs, and files that are no pictures."""
    for seed in range(5):
        picture(tmp_path / "pets" / ("cat" if seed < 3 else "dog/big") / f"{seed}.PNG", seed)
    (tmp_path / "pets" / "README.txt").write_text("pets")
    picture(tmp_path / "pets" / ".hidden" / "0.png", 9)
    picture(tmp_path / "pets" / "__MACOSX" / "cat" / "0.png", 9)
    picture(tmp_path / "pets" / "cat" / "._0.png", 9)
    return tmp_path / "pets"


def test_classes_are_first_folders(pets):
    data = load_data(pets)
    assert data.name == "pets"
    assert data.classes == ("cat", "dog")
    assert labels(data) == [0, 0, 0, 1, 1]
    assert data.shape == (3, 12, 12)
    assert data.skipped == ()


def test_labels_belong_to_their_pictures(pets):
    data = load_data(pets, held_out=0)
    images, places = data.train.batch(torch.arange(5))
    for image, place in zip(images, places, strict=True):
        folder = pets / data.classes[place]
        originals = [np.asarray(Image.open(path)) for path in folder.rglob("[0-9].PNG")]
        assert any(np.array_equal(image.permute(1, 2, 0), original) for original in originals)


def test_containers_do_not_change_the_content(pets, zipped, tarred):
    hashes = {load_data(pets).content_hash, load_data(zipped(pets)).content_hash}
    hashes |= {load_data(tarred(pets, kind)).content_hash for kind in ("", "gz", "xz", "bz2")}
    assert len(hashes) == 1
    assert load_data(tarred(pets, "xz")).name == "pets"


def test_streaming_does_not_change_the_content(pets, zipped):
    kept, streamed = load_data(pets), load_data(zipped(pets), memory_limit=1000)
    assert kept.train.store.in_memory
    assert not streamed.train.store.in_memory
    assert kept.content_hash == streamed.content_hash
    assert kept.train.store.nbytes == streamed.train.store.nbytes
    rows = torch.tensor([3, 0, 0])
    assert torch.equal(kept.train.batch(rows)[0], streamed.train.batch(rows)[0])


def test_content_hash_sees_pixels_labels_and_size(pets, picture):
    hashes = {load_data(pets).content_hash, load_data(pets, size=8).content_hash}
    (pets / "dog" / "big" / "3.PNG").rename(pets / "cat" / "3.PNG")
    hashes.add(load_data(pets).content_hash)
    picture(pets / "cat" / "3.PNG", 77)
    hashes.add(load_data(pets).content_hash)
    assert len(hashes) == 4


@pytest.mark.parametrize("wrapper", ["", "a", "a/b"])
def test_wrapping_folders_are_stepped_into(tmp_path, picture, wrapper):
    for seed in range(4):
        picture(tmp_path / "set" / wrapper / f"c{seed % 2}" / f"{seed}.png", seed)
    assert load_data(tmp_path / "set").classes == ("c0", "c1")


def test_one_folder_is_no_class(tmp_path, picture):
    for seed in range(3):
        picture(tmp_path / "only" / f"{seed}.png", seed)
    data = load_data(tmp_path)
    assert data.classes == ()
    assert data.train.labels is None


def test_numbered_folders_are_sorted_by_value(tmp_path, picture):
    for seed in (0, 2, 10):
        picture(tmp_path / str(seed) / "a.png", seed)
    assert load_data(tmp_path).classes == ("0", "2", "10")


@pytest.mark.parametrize(
    "test", ["test", "val", "valid", "validation", "Test", "Testing", "eval", "evaluation", "dev"]
)
@pytest.mark.parametrize("train", ["train", "Training"])
@pytest.mark.parametrize("wrapper", ["", "set"])
def test_own_splits_are_kept(tmp_path, picture, train, test, wrapper):
    for seed in range(6):
        picture(tmp_path / wrapper / train / f"c{seed % 2}" / f"{seed}.png", seed)
    picture(tmp_path / wrapper / test / "c1" / "a.png", 7)
    data = load_data(tmp_path, held_out=0.5)
    assert (len(data.train), len(data.held_out)) == (6, 1)
    assert data.classes == ("c0", "c1")
    assert data.held_out.labels is not None
    assert data.held_out.labels.tolist() == [1]


def test_a_third_split_is_reported_and_left_out(tmp_path, picture):
    for seed, folder in enumerate(["train", "train", "test", "val"]):
        picture(tmp_path / folder / f"{seed}.png", seed)
    data = load_data(tmp_path)
    assert (len(data.train), len(data.held_out)) == (2, 1)
    assert [item.name for item in data.skipped] == ["val beside test"]


def test_pictures_beside_class_folders_are_an_error(pets, picture):
    picture(pets / "cover.png", 1)
    with pytest.raises(DataError, match=r"cover\.png"):
        load_data(pets)


def test_metadata_gives_labels_and_names_what_is_missing(tmp_path, picture):
    for seed in range(4):
        picture(tmp_path / "all" / f"{seed}.png", seed)
    table = "file_name,label\nall/0.png,b\n./all/1.png,a\nall/2.png,\nall/9.png,a\n"
    (tmp_path / "metadata.csv").write_text(table, encoding="utf-8-sig")
    data = load_data(tmp_path)
    assert data.classes == ("a", "b")
    assert count(data) == 2
    reasons = {item.name: item.reason for item in data.skipped}
    assert reasons == {
        "all/9.png": "named in metadata.csv, not found",
        "all/2.png": "no label in metadata.csv",
        "all/3.png": "not named in metadata.csv",
    }


def test_metadata_gives_captions(tmp_path, picture):
    for seed in range(3):
        picture(tmp_path / "set" / f"{seed}.png", seed)
    (tmp_path / "set" / "metadata.csv").write_text(
        'file_name,text\n0.png,"zero, nought"\n1.png,one\n2.png,two\n'
    )
    data = load_data(tmp_path, held_out=0)
    assert data.train.captions == ("zero, nought", "one", "two")
    assert data.train.labels is None
    assert data.classes == ()


@pytest.mark.parametrize("header", ["file_name,caption", "File_Name, Text", " file_name ,captions"])
def test_columns_are_known_by_other_names(tmp_path, picture, header):
    for seed in range(3):
        picture(tmp_path / f"{seed}.png", seed)
    (tmp_path / "metadata.csv").write_text(f"{header},Big\n0.png,nought,1\n1.png,one,0\n2.png,two,0\n")
    data = load_data(tmp_path, held_out=0)
    assert data.train.captions == ("nought", "one", "two")
    assert data.attributes == ("Big",)


def test_metadata_as_lines_of_json(tmp_path, picture):
    for seed in range(3):
        picture(tmp_path / f"{seed}.png", seed)
    lines = (
        '{"file_name": "0.png", "text": "nought\\u2028", "big": true, "objects": {"bbox": [1]}}',
        '{"file_name": "1.png", "text": ["one", "uno"], "big": false}\n',
        '{"file_name": "2.png", "text": "two", "big": false}',
    )
    (tmp_path / "metadata.jsonl").write_text("\n".join(lines))
    data = load_data(tmp_path, held_out=0)
    assert data.train.captions == ("nought", "one", "two")
    assert data.attributes == ("big",)
    assert data.train.attributes[:, 0].tolist() == [True, False, False]
    (tmp_path / "metadata.jsonl").write_text("[1]\n")
    with pytest.raises(DataError, match=r"metadata\.jsonl.*JSON object"):
        load_data(tmp_path)


def test_a_table_that_says_nothing_leaves_the_folders_to_say_it(tmp_path, picture):
    rows = ["file_name,width"]
    for seed in range(4):
        picture(tmp_path / f"c{seed % 2}" / f"{seed}.png", seed)
        rows.append(f"c{seed % 2}/{seed}.png,{12 + seed}")
    (tmp_path / "metadata.csv").write_text("\n".join(rows))
    data = load_data(tmp_path)
    assert data.classes == ("c0", "c1")
    assert [item.name for item in data.skipped] == ["metadata.csv"]


def test_of_several_rows_of_a_picture_the_first_counts(tmp_path, picture):
    for seed in range(2):
        picture(tmp_path / f"{seed}.png", seed)
    (tmp_path / "metadata.csv").write_text("file_name,text\n0.png,a\n0.png,b\n1.png,c\n1.png,d\n1.png,e\n")
    data = load_data(tmp_path, held_out=0)
    assert data.train.captions == ("a", "c")
    assert [item.reason for item in data.skipped] == ["3 rows of pictures that an earlier row describes"]


def test_pictures_of_a_split_that_is_left_out_are_not_called_missing(tmp_path, picture):
    rows = ["file_name,text"]
    for seed, split in enumerate(["train", "train", "test", "val"]):
        picture(tmp_path / split / f"{seed}.png", seed)
        rows.append(f"{split}/{seed}.png,nr {seed}")
    (tmp_path / "metadata.csv").write_text("\n".join([*rows, "train/9.png,nr 9"]))
    skipped = [item.name for item in load_data(tmp_path).skipped]
    assert skipped == ["val beside test", "train/9.png"]


def test_metadata_of_each_split(tmp_path, picture):
    for split in ("train", "test"):
        for seed in range(2):
            picture(tmp_path / split / f"{seed}.png", seed)
        (tmp_path / split / "metadata.csv").write_text(f"file_name,text\n0.png,{split} 0\n1.png,{split} 1\n")
    data = load_data(tmp_path)
    assert data.train.captions == ("train 0", "train 1")
    assert data.held_out.captions == ("test 0", "test 1")


def test_rows_and_splits_stay_together_when_a_picture_is_left_out(tmp_path, picture):
    for place, split in enumerate(["train", "train", "train", "test"]):
        picture(tmp_path / split / f"{place}.png", place)
    table = "file_name,label\ntrain/1.png,b\ntrain/2.png,c\ntest/3.png,d\n"
    (tmp_path / "metadata.csv").write_text(table)
    data = load_data(tmp_path)
    assert data.classes == ("b", "c", "d")
    assert data.train.labels is not None
    assert data.train.labels.tolist() == [0, 1]
    assert len(data.held_out) == 1


@pytest.mark.parametrize("table", [b"name,label\n0.png,a\n", b"", b"file_name,label\n0.png,\xff\n"])
def test_unusable_metadata_is_an_error(tmp_path, picture, table):
    picture(tmp_path / "0.png", 0)
    (tmp_path / "metadata.csv").write_bytes(table)
    with pytest.raises(DataError, match=r"metadata\.csv"):
        load_data(tmp_path)


@pytest.mark.parametrize("memory_limit", [1, 2**30])
def test_unreadable_files_are_skipped_and_named(pets, memory_limit):
    (pets / "cat" / "broken.png").write_bytes((pets / "cat" / "0.PNG").read_bytes()[:60])
    (pets / "dog" / "text.jpg").write_text("not a picture")
    (pets / "dog" / "empty.gif").touch()
    data = load_data(pets, memory_limit=memory_limit)
    assert count(data) == 5
    assert {item.name for item in data.skipped} == {"cat/broken.png", "dog/text.jpg", "dog/empty.gif"}
    assert all(item.reason and "object at" not in item.reason for item in data.skipped)


def test_too_few_readable_pictures(tmp_path, picture):
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_text("no")
    with pytest.raises(DataError, match=r"0 readable.*'a\.png'"):
        load_data(tmp_path)
    picture(tmp_path / "c.png", 0)
    with pytest.raises(DataError, match="1 readable"):
        load_data(tmp_path)


def test_a_split_of_unreadable_pictures_is_an_error(tmp_path, picture):
    for seed in range(3):
        picture(tmp_path / "train" / f"{seed}.png", seed)
    (tmp_path / "test").mkdir()
    (tmp_path / "test" / "a.png").touch()
    with pytest.raises(DataError, match="splits"):
        load_data(tmp_path)


def test_a_streamed_picture_that_vanishes_is_named(pets):
    data = load_data(pets, memory_limit=1, held_out=0)
    (pets / "cat" / "0.PNG").unlink()
    with pytest.raises(DataError, match=r"cat/0\.PNG"):
        data.train.batch(torch.tensor([0]))


def test_progress_reaches_the_total(pets):
    seen: list[tuple[int, int]] = []
    load_data(pets, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (5, 5)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_pipes_are_skipped_and_not_waited_for(pets):
    os.mkfifo(pets / "cat" / "pipe.png")
    data = load_data(pets)
    assert count(data) == 5
    assert [item.name for item in data.skipped] == ["cat/pipe.png"]


def test_encrypted_members_are_skipped_and_named(pets, zipped):
    path = zipped(pets)
    content = bytearray(path.read_bytes())
    place = content.index(b"cat/0.PNG", content.index(b"PK\x01\x02"))
    content[place - 46 + 8] |= 1  # the flag in this member's entry of the central directory
    path.write_bytes(content)
    skipped = load_data(path).skipped
    assert [item.name for item in skipped] == ["cat/0.PNG"]
    assert "encrypted" in skipped[0].reason


def test_backslashes_of_windows_archives_are_folders(tmp_path, picture):
    content = picture(tmp_path / "0.png", 0).read_bytes()
    with zipfile.ZipFile(tmp_path / "win.zip", "w") as archive:
        for place in range(4):
            archive.writestr(f"win\\c{place % 2}\\{place}.png", content)
    assert load_data(tmp_path / "win.zip").classes == ("c0", "c1")


def test_links_that_go_round_in_circles_end(pets):
    (pets / "cat" / "loop").symlink_to(pets)
    assert count(load_data(pets)) == 5


def test_absurd_members_of_archives_are_left_out(pets, tmp_path):
    content = (pets / "cat" / "0.PNG").read_bytes()
    good, bad = ("x/a.png", "./x/b.png", "x//c.png"), ("/x/d.png", "../x/e.png", "x/../f.png")
    with zipfile.ZipFile(tmp_path / "odd.zip", "w") as archive:
        for name in (*good, *bad):
            archive.writestr(name, content)
        link_entry = zipfile.ZipInfo("x/link.png")
        link_entry.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link_entry, "/etc/passwd")
    with tarfile.open(tmp_path / "odd.tar", "w") as tar:
        for name in (*good, *bad):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, BytesIO(content))
        link = tarfile.TarInfo("link.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    before = set(tmp_path.parent.rglob("*"))
    for name in ("odd.zip", "odd.tar"):
        data = load_data(tmp_path / name)
        assert count(data) == 3
        assert data.skipped == ()
    assert set(tmp_path.parent.rglob("*")) == before


def test_broken_archives_are_errors(pets, zipped, tarred, tmp_path):
    for whole in (zipped(pets), tarred(pets, "xz"), tarred(pets, "gz")):
        cut = tmp_path / f"cut-{whole.name}"
        cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
        with pytest.raises(DataError, match="cut-"):
            load_data(cut)


@pytest.mark.parametrize("compression", ["", "gz"])
def test_a_tar_that_is_damaged_in_its_middle_or_joined_is_an_error(pets, tarred, tmp_path, compression):
    plain = tarred(pets, "").read_bytes()
    with tarfile.open(fileobj=BytesIO(plain)) as tar:
        *_, last = tar.getmembers()
    damaged = bytearray(plain)
    damaged[last.offset + 148 : last.offset + 156] = b"nonsense"  # the header's checksum
    # Cut in a header; damaged in one; two in one file.
    for place, content in enumerate((plain[: last.offset + 100], bytes(damaged), plain + plain)):
        path = tmp_path / f"bad-{place}.tar"
        path.write_bytes(gzip.compress(content) if compression else content)
        with pytest.raises(DataError, match=f"bad-{place}.*fetch it again"):
            load_data(path)


def test_a_cut_tar_is_not_taken_for_a_compressed_one(pets, tarred, tmp_path):
    whole = tarred(pets, "")
    with tarfile.open(whole) as tar:
        *_, last = (member for member in tar if member.size > 100)
    cut = tmp_path / "cut.tar"
    cut.write_bytes(whole.read_bytes()[: last.offset_data + 50])
    with pytest.raises(DataError, match="fetch it again"):
        load_data(cut, memory_limit=100)


def test_a_compressed_tar_larger_than_memory_is_refused(pets, tarred):
    with pytest.raises(DataError, match="unpack it"):
        load_data(tarred(pets, "gz"), memory_limit=500)


def test_empty_sources_are_errors(tmp_path):
    with pytest.raises(DataError, match="no pictures"):
        load_data(tmp_path)
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(DataError, match="not data"):
        load_data(tmp_path / "notes.txt")


def test_sizes_and_channels_suit_the_data(tmp_path, draw):
    def save(name: str, *shape: int) -> None:
        Image.fromarray(draw(0, *shape)).save(tmp_path / name)

    save("a.png", 20, 30, 3)
    save("b.png", 40, 20, 3)
    assert load_data(tmp_path).shape == (3, 20, 20)
    save("c.png", 21, 21)
    assert load_data(tmp_path).shape == (3, 32, 32)
    (tmp_path / "a.png").unlink()
    (tmp_path / "b.png").unlink()
    save("d.png", 21, 70)
    assert load_data(tmp_path).shape == (1, 21, 21)
    assert load_data(tmp_path, channels=3, size=16).shape == (3, 16, 16)


@pytest.mark.parametrize(("side", "size"), [(64, 64), (65, 32)])
def test_large_pictures_are_shrunk_unless_asked(tmp_path, draw, side, size):
    for seed in range(2):
        Image.fromarray(draw(seed, side, side)).save(tmp_path / f"{seed}.png")
    assert load_data(tmp_path).shape == (1, size, size)
    assert load_data(tmp_path, size=side).shape == (1, side, side)


def test_tiny_pictures_are_an_error(tmp_path, draw):
    for seed in range(3):
        Image.fromarray(draw(seed, 7, 30)).save(tmp_path / f"{seed}.png")
    with pytest.raises(DataError, match="7 pixels"):
        load_data(tmp_path, size=16)

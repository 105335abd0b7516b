"""What examples may have or not: from a table, and CelebA's official layout with its forty."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

import sfumato
from helpers import call
from sfumato.data import load_data
from sfumato.data.celeba import parse_attributes, parse_partition
from sfumato.data.summary import describe
from sfumato.errors import ConfigError, DataError
from sfumato.recipes.facts import data_config

# The header of list_attr_celeba.txt, as it stands there.
# fmt: off
FORTY = [
    "5_o_Clock_Shadow", "Arched_Eyebrows", "Attractive", "Bags_Under_Eyes", "Bald", "Bangs", "Big_Lips",
    "Big_Nose", "Black_Hair", "Blond_Hair", "Blurry", "Brown_Hair", "Bushy_Eyebrows", "Chubby",
    "Double_Chin", "Eyeglasses", "Goatee", "Gray_Hair", "Heavy_Makeup", "High_Cheekbones", "Male",
    "Mouth_Slightly_Open", "Mustache", "Narrow_Eyes", "No_Beard", "Oval_Face", "Pale_Skin", "Pointy_Nose",
    "Receding_Hairline", "Rosy_Cheeks", "Sideburns", "Smiling", "Straight_Hair", "Wavy_Hair",
    "Wearing_Earrings", "Wearing_Hat", "Wearing_Lipstick", "Wearing_Necklace", "Wearing_Necktie", "Young",
]
# fmt: on


def flags(picture: int) -> list[bool]:
    """Return forty flags that tell pictures apart: the binary digits of a multiple of a large prime."""
    return [bool(picture * 1_000_003 >> place & 1) for place in range(40)]


@pytest.fixture
def celeba(tmp_path: Path, picture) -> Path:  # type: ignore[no-untyped-def]
    """Nine pictures in the official folders: six to train on, one to validate, two to test."""
    root = tmp_path / "CelebA"
    for folder in ("Anno", "Eval"):
        (root / folder).mkdir(parents=True)
    rows, parts, people = [], [], []
    for number in range(1, 10):
        name = f"{number:06}.jpg"
        picture(root / "Img" / "img_align_celeba" / name, number)
        rows.append(f"{name} " + " ".join(" 1" if flag else "-1" for flag in flags(number)))
        parts.append(f"{name} {0 if number <= 6 else number - 6 if number < 9 else 2}")
        people.append(f"{name} {number * 17}")
    header = ["9", " ".join(FORTY) + " "]  # the official header ends in a space
    (root / "Anno" / "list_attr_celeba.txt").write_text("\n".join([*header, *rows, ""]))
    (root / "Anno" / "identity_CelebA.txt").write_text("\n".join(people))
    (root / "Eval" / "list_eval_partition.txt").write_text("\n".join(parts))
    return root


def test_celeba_has_forty_attributes_and_its_own_splits(celeba):
    data = load_data(celeba)
    assert len(FORTY) == 40
    assert data.attributes == tuple(FORTY)
    assert (len(data.train), len(data.held_out)) == (6, 2)
    assert torch.equal(data.train.attributes, torch.tensor([flags(number) for number in range(1, 7)]))
    assert torch.equal(data.held_out.attributes, torch.tensor([flags(number) for number in (8, 9)]))
    assert data.classes == ()
    assert [item.name for item in data.skipped] == ["val beside test"]


def test_celeba_loads_alike_however_it_lies(celeba, tmp_path, zipped):
    expected = load_data(celeba).content_hash
    pictures = celeba / "Img" / "img_align_celeba"
    flat = tmp_path / "flat"
    shutil.copytree(pictures, flat / "img_align_celeba")
    for path in celeba.rglob("*.txt"):
        shutil.copy(path, flat)
    assert load_data(flat).content_hash == expected
    assert load_data(zipped(celeba)).content_hash == expected
    shutil.copytree(pictures, celeba / "Img" / "img_celeba")  # those in the wild, of the same names
    assert load_data(celeba).content_hash == expected
    shutil.rmtree(celeba / "Img" / "img_celeba")
    zipped(pictures)
    shutil.rmtree(pictures)
    assert load_data(celeba).content_hash == expected


def test_celeba_without_its_partition_is_split_like_any_set(celeba):
    (celeba / "Eval" / "list_eval_partition.txt").unlink()
    data = load_data(celeba, held_out=3 / 9)
    assert (len(data.train), len(data.held_out)) == (6, 3)
    got = torch.cat([data.train.attributes, data.held_out.attributes]).tolist()
    assert sorted(got) == sorted(flags(number) for number in range(1, 10))


def test_a_part_of_celeba_says_what_is_missing(celeba, picture):
    (celeba / "Img" / "img_align_celeba" / "000002.jpg").unlink()
    (celeba / "Img" / "img_align_celeba" / "000003.jpg").unlink()
    picture(celeba / "Img" / "img_align_celeba" / "000099.jpg", 99)
    data = load_data(celeba)
    assert len(data.train) == 4
    reasons = {item.name: item.reason for item in data.skipped}
    assert reasons["2 pictures"] == "named in list_attr_celeba.txt, not found"
    assert "pictures beside test" in reasons  # of the picture that no list names


def words(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "0 rows"),
        ("1\nA B\n", "0 rows"),
        ("2\nA B\nx.jpg 1 -1\n", "1 rows"),
        ("1\nA B\nx.jpg 1\n", "row 'x.jpg'"),
        ("1\nA B\nx.jpg 1 0\n", "row 'x.jpg'"),
    ],
)
def test_a_broken_list_of_attributes_is_an_error(text, message):
    with pytest.raises(DataError, match=message):
        parse_attributes(words(text))


@pytest.mark.parametrize("text", ["x.jpg 3", "x.jpg", "x.jpg 0 1"])
def test_a_broken_partition_is_an_error(text):
    with pytest.raises(DataError, match=r"x\.jpg.*0, 1 or 2"):
        parse_partition(words(text))


@pytest.mark.parametrize(("yes", "no"), [("1", "0"), ("1", "-1"), ("True", "False")])
def test_columns_of_flags_in_a_table_are_attributes(tmp_path, picture, yes, no):
    """Other columns are not, though they be numbers; one odd cell makes a column another."""
    for seed in range(4):
        picture(tmp_path / f"{seed}.png", seed)
    lines = [f"{seed}.png,{yes if seed % 2 else no},{seed},{yes if seed > 1 else no}" for seed in range(4)]
    (tmp_path / "metadata.csv").write_text("\n".join(["file_name,odd,width,large", *lines]))
    data = load_data(tmp_path, held_out=0)
    assert data.attributes == ("odd", "large")
    assert data.train.attributes is not None
    assert data.train.attributes.tolist() == [[False, False], [True, False], [False, True], [True, True]]
    (tmp_path / "metadata.csv").write_text("\n".join(["file_name,odd,width,large", *lines[:3], "3.png,,3,1"]))
    assert "odd" not in load_data(tmp_path).attributes


def test_attributes_count_in_the_content_hash_and_only_where_there_are_some(tmp_path, picture):
    for seed in range(3):
        picture(tmp_path / f"{seed}.png", seed)
    table, hashes = tmp_path / "metadata.csv", []
    for lines in (
        ["text", "a", "b", "c"],
        ["text,big", "a,0", "b,1", "c,1"],
        ["text,big", "a,1", "b,1", "c,1"],
    ):
        table.write_text(
            "\n".join(
                f"{first},{rest}"
                for first, rest in zip(("file_name", "0.png", "1.png", "2.png"), lines, strict=True)
            )
        )
        hashes.append(load_data(tmp_path).content_hash)
    table.write_text("file_name,text,note\n0.png,a,x\n1.png,b,x\n2.png,c,x\n")
    assert load_data(tmp_path).content_hash == hashes[0]
    assert len(set(hashes)) == 3


def test_the_summary_counts_attributes(celeba):
    found = describe(load_data(celeba))["attributes"]
    assert list(found) == FORTY
    for place, counts in enumerate(found.values()):
        assert counts["train"] == sum(flags(number)[place] for number in range(1, 7))
        assert counts["held_out"] == sum(flags(number)[place] for number in (8, 9))


def test_the_command_line_shows_attributes_and_why_pictures_are_left_out(celeba, tmp_path, capsys):
    assert call("data", celeba, "--out", tmp_path / "sheet.png") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "6 to train on, 2 held out" in said
    assert "40 attributes" in said
    count = sum(flags(number)[0] for number in (1, 2, 3, 4, 5, 6, 8, 9))
    assert f"5_o_Clock_Shadow ({count})" in said
    assert "and 20 more" in said
    assert "val beside test: not used" in said
    assert (tmp_path / "sheet.png").is_file()


def test_a_configuration_says_what_is_known_of_examples(celeba, tmp_path, picture):
    assert data_config(load_data(celeba)).data.attributes == tuple(FORTY)
    assert not data_config(load_data(celeba)).data.captions
    for seed in range(3):
        picture(tmp_path / "told" / f"{seed}.png", seed).with_suffix(".txt").write_text(f"nr {seed}")
    assert data_config(load_data(tmp_path / "told")).data.captions


def test_selecting_keeps_what_belongs_to_each(celeba):
    train = load_data(celeba).train
    some = train.select(torch.tensor([4, 1]))
    assert torch.equal(some.batch(torch.arange(2))[0], train.batch(torch.tensor([4, 1]))[0])
    assert some.attributes.tolist() == [flags(5), flags(2)]


SMALL_RUN = ("network.widths=[16]", "network.fold=2", "training.batch=4", "training.learning_rate=0.02")


def test_all_forty_are_told_and_can_be_asked_for(celeba, tmp_path):
    # Conditions start out without effect: after fewer steps it is a few millionths, too little for a byte.
    words = ["train", celeba, "--size", "16", "--budget", "60steps", "--out", tmp_path / "run"]
    assert call(*words, *(word for setting in SMALL_RUN for word in ("--set", setting))) == 0
    run = sfumato.open_run(tmp_path / "run")
    assert run.config.conditions["attributes"]["names"] == tuple(FORTY)
    plain, smiling = run.sample(2), run.sample(2, attributes=["Smiling, not Male"])
    assert not np.array_equal(plain, smiling)
    assert np.array_equal(smiling, run.sample(2, attributes=["smiling,not male"]))
    told = run.request(1, attributes=["Smiling, not Male"]).condition
    row = dict(zip(FORTY, told.values["attributes"][0].tolist(), strict=True))
    assert {name: value for name, value in row.items() if value} == {"Smiling": 1.0, "Male": -1.0}
    with pytest.raises(ConfigError, match="no attribute 'Smilling': did you mean 'Smiling'"):
        run.sample(1, attributes=["Smilling"])
    grid = tmp_path / "faces.png"
    asked = ["-n", "4", "--attributes", "Bald", "--guidance", "3"]
    assert call("sample", tmp_path / "run", *asked, "--out", grid) == 0
    assert grid.is_file()

"""The pages about the families name what is there, say what is so, and their commands run as written."""

import inspect
import json
import math
import os
import re
import shlex
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from helpers import call, captioned_folder
from sfumato.data import load_data
from sfumato.data.dataset import Dataset
from sfumato.families.agreements import (
    Autoencoder,
    DataFacts,
    Encoder,
    Generator,
    Labelled,
    TextFacts,
    TokenFacts,
    Told,
)
from sfumato.nets.conditions import Labels
from sfumato.nets.embedding import LABEL
from sfumato.recipes import configure
from sfumato.runs.config import LatentConfig
from sfumato.runs.latent import sketched
from sfumato.runs.model import build_model
from sfumato.runs.registry import PIECES

ROOT = Path(__file__).parents[1]
PAGES = {path.stem: path.read_text() for path in sorted((ROOT / "docs/families").glob("*.md"))}
every_page = pytest.mark.parametrize("page", PAGES)
TOLD = {"told": {LABEL: Labels(10)}, "drop": 0.1}
DIGITS = DataFacts((1, 8, 8), 10, (-1.0, 1.0), 0.75, TextFacts(vocabulary=20, length=8), **TOLD)
CODES = replace(DIGITS, shape=(8,), bounds=None)
WORDS = replace(DIGITS, shape=(16,), bounds=None, tokens=TokenFacts(64, ((4, 4),)))
MAPS = replace(DIGITS, shape=(30,), bounds=None, tokens=TokenFacts(64, ((1, 1), (2, 2), (3, 3), (4, 4))))
FACTS = {"next-number": CODES, "token-transformer": WORDS, "scale-transformer": MAPS}
"""Of the digits, as families see them that see no pixels."""
LIVES_IN = {
    "next-number": "linear-autoencoder",
    "token-transformer": "vq-vae",
    "scale-transformer": "multiscale-vq",
}
MOST_BYTES = 150_000


def rows(text: str, header: str) -> list[list[str]]:
    """Return the cells of all tables whose header begins like this."""
    found, inside = [], False
    for line in text.splitlines():
        inside = line.startswith("|") and (inside or line.startswith(header))
        if inside and not line.startswith((header, "|---")):
            found.append([cell.strip() for cell in line.strip("|").split("|")])
    return found


def quoted(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


FORMULAS = [
    (page, row)
    for page, text in PAGES.items()
    for head in ("| what |", "| loss |")
    for row in rows(text, head)
]


@pytest.mark.parametrize(("page", "row"), FORMULAS, ids=lambda of: of if isinstance(of, str) else of[0])
def test_every_formula_has_its_code_and_its_test(page: str, row: list[str]) -> None:
    names = [name for cell in row for name in quoted(cell)]
    codes = [name for name in names if ":" in name and "::" not in name]
    assert codes
    for code in codes:
        module, path = code.split(":")
        found: Any = import_module(f"sfumato.{module}")
        for name in path.split("."):
            found = getattr(found, name)
    for proof in (name for name in names if "::" in name):
        file, test = proof.split("::")
        assert f"def {test}(" in (ROOT / "tests" / file).read_text()


def test_every_page_but_that_of_one_table_names_its_proofs() -> None:
    assert {page for page, row in FORMULAS if "::" in row[-1]} == set(PAGES) - {"README"}


def test_the_table_says_what_each_family_can_do() -> None:
    table = {quoted(row[2])[0]: row[3:7] for row in rows(PAGES["README"], "| family |")}
    assert table.keys() == PIECES["family"].keys()
    for name, said in table.items():
        design, facts = PIECES["family"][name], FACTS.get(name, DIGITS)
        family = design().build(facts)
        can = ["yes" if isinstance(family, kind) else "–" for kind in (Encoder, Autoencoder, Generator)]
        wish = {"conditional": True} if "conditional" in inspect.signature(design).parameters else {}
        labels = (
            "yes" if _obeys(family) else "optional" if wish and _obeys(design(**wish).build(facts)) else "–"
        )
        assert said == [*can, labels], name


def _obeys(family: Any) -> bool:
    if isinstance(family, Told):
        return LABEL in family.obeys
    return isinstance(family, Labelled) and family.classes > 0


def _latent(name: str, data: Dataset) -> LatentConfig | None:
    """Return the codes of `data` that a family is for, None of one that is for the data itself."""
    return sketched(build_model(configure(data, LIVES_IN[name])).family, 8) if name in LIVES_IN else None


def test_the_options_are_all_there_with_what_the_recipes_choose(tmp_path: Path) -> None:
    larger, many = tmp_path / "larger.npz", 12_000
    bytes_ = np.random.default_rng(0).integers(0, 256, (many, 28, 28), dtype=np.uint8)
    np.savez(larger, images=bytes_, labels=np.arange(many) % 10)
    data = [load_data(str(source)) for source in ("digits", larger)]
    found: dict[str, dict[str, list[str]]] = {}
    for text in PAGES.values():
        for names in re.findall(r"^\| option of (.+?) \| digits", text, flags=re.M):
            for options, *values, _ in rows(text, f"| option of {names} |"):
                for family in quoted(names):
                    found.setdefault(family, {}).update(dict.fromkeys(quoted(options), values))
    assert found.keys() == PIECES["family"].keys()
    for name, said in found.items():
        small, large = (configure(one, name, latent=_latent(name, one)).family for one in data)
        expected = {key: [_written(small[key]), _written(large[key])] for key in small if key != "name"}
        assert said == expected, name


def test_codes_are_as_much_smaller_than_pictures_as_the_page_says(tmp_path: Path) -> None:
    sources = ["digits", tmp_path / "grey.npz", tmp_path / "colour.npz"]
    for source, shape in zip(sources[1:], [(4, 28, 28), (4, 32, 32, 3)], strict=True):
        np.savez(source, images=np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8))
    data = [load_data(str(source)) for source in sources]
    said = {name: row[1:] for row in rows(PAGES["autoencoders"], "| recipe |") for name in quoted(row[0])}
    # A code of a codebook is one word, however many numbers stand for it.
    words = {"vq-vae": lambda shape: shape[1:]}
    found = {}
    for name in said:
        codes = [build_model(configure(one, name)).family.latent_shape for one in data]
        sizes = [math.prod(words.get(name, tuple)(code)) for code in codes]
        ratios = [math.prod(one.shape) / size for one, size in zip(data, sizes, strict=True)]
        found[name] = [f"{ratio:g}" for ratio in ratios]
        assert min(ratios) >= 4, "a code is smaller than its picture"
    assert said == found
    assert len(said) == 6


def _written(value: object) -> str:
    """Return a value as `--set` takes it, whole numbers as such."""
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(_written, value))}]"
    if isinstance(value, str):
        return value
    return json.dumps(int(value) if isinstance(value, float) and value.is_integer() else value)


@every_page
def test_every_picture_and_page_it_points_to_is_there(page: str) -> None:
    targets = re.findall(r"\]\(([^)#]+)\)", PAGES[page])
    assert targets
    for target in targets:
        path = ROOT / "docs/families" / target
        assert path.is_file()
        assert path.suffix == ".md" or path.stat().st_size < MOST_BYTES


@every_page
def test_its_commands_run_as_written(page: str, tmp_path: Path) -> None:
    """In their order, at two steps where they train, and then its Python."""
    _some_pictures(tmp_path / "my-pictures")
    _half_a_digit(tmp_path)
    (tmp_path / "few-scenes").mkdir()
    captioned_folder(tmp_path / "few-scenes", 80)
    lines = [
        line
        for block in re.findall(r"```sh\n(.*?)```", PAGES[page], flags=re.S)
        for line in block.splitlines()
    ]
    assert lines
    before = os.getcwd()
    os.chdir(tmp_path)
    try:
        for line in lines:
            # A few scenes stand for twenty thousand.
            verb, *words = shlex.split(line.replace(" scenes ", " few-scenes "), comments=True)
            assert verb == "sfumato"
            if words[0] == "train":
                assert re.search(r"--budget \w+", line), "a page says how long"
                words[words.index("--budget") + 1] = "2steps"
            assert call(*words) == 0, line
            if "--out" in words:
                assert Path(words[words.index("--out") + 1]).exists(), line
        for block in re.findall(r"```python\n(.*?)```", PAGES[page], flags=re.S):
            exec(compile(block, f"{page}.md", "exec", dont_inherit=True), {"__name__": "docs"})
    finally:
        os.chdir(before)


def _half_a_digit(folder: Path) -> None:
    """Write a digit, and a mask of its upper half."""
    pixels = load_data("digits").train.store.take(torch.tensor([0]))[0, 0].numpy()
    Image.fromarray(pixels).save(folder / "digit.png")
    Image.fromarray((np.arange(8)[:, None] < 4) * np.full((8, 8), 255, np.uint8)).save(folder / "mask.png")


def _some_pictures(folder: Path) -> None:
    """Write two classes of eight pictures of noise."""
    random = np.random.default_rng(0)
    for label in ("cats", "dogs"):
        (folder / label).mkdir(parents=True)
        for number in range(8):
            pixels = random.integers(0, 256, (32, 32, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / label / f"{number}.png")

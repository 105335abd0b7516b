"""The page about scenes says what is so, and its commands run as written."""

import os
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from helpers import call
from sfumato.data.scenes import is_held_out, parse
from sfumato.data.scenes.grammar import FORMS
from sfumato.data.scenes.shapes import SHAPES
from sfumato.data.scenes.words import COLOURS, COUNTS, PLACES, RELATIONS, SIZES

DOCS = Path(__file__).parents[1] / "docs"
TEXT = (DOCS / "scenes.md").read_text()


def test_the_forms_are_all_there_with_their_shares() -> None:
    rows = re.findall(r"^\| ([a-z ]+) \| (an? .+|three .+) \| ([0-9.]+) \|$", TEXT, flags=re.M)
    assert {form: float(share) for form, _, share in rows} == {
        form: share for form, (share, _) in FORMS.items()
    }
    assert not any(is_held_out(parse(text)) for _, text, _ in rows)


def test_the_words_are_all_there() -> None:
    listed = {words for line in TEXT.splitlines() for words in re.findall(r"`([a-z ]+)`", line)}
    assert {*SHAPES, *COLOURS, *SIZES, *PLACES, *COUNTS, *RELATIONS} <= listed


def test_what_is_never_shown_is_as_it_says() -> None:
    row = next(line for line in TEXT.splitlines() if line.startswith("| first and second colour"))
    said = set(re.findall(r"([a-z]+)–([a-z]+)", row))
    held = {
        (one, other)
        for one in COLOURS
        for other in COLOURS
        if one != other and is_held_out(parse(f"a {one} {_seen(one)} left of a {other} {_seen(other)}"))
    }
    assert said == held
    assert all(is_held_out(parse(f"two {pair}")) for pair in _cell("colour and shape").split(", "))
    placed = _cell("colour and place")
    for colour in COLOURS:
        held_places = [
            place for place in PLACES if is_held_out(parse(f"a {colour} {_seen(colour)} in the {place}"))
        ]
        assert re.findall(rf"{colour}\b[^,]*?({'|'.join(PLACES)})", placed) == held_places


def _seen(colour: str) -> str:
    """Return a shape that the colour is seen with."""
    return next(shape for shape in SHAPES if not is_held_out(parse(f"a {colour} {shape}")))


def _cell(name: str) -> str:
    row = next(line for line in TEXT.splitlines() if line.startswith(f"| {name} |"))
    return row.strip("| ").split(" | ")[1]


def test_its_commands_run_as_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = os.getcwd()
    os.chdir(tmp_path)
    try:
        for line in "".join(re.findall(r"```sh\n(.*?)```", TEXT, flags=re.S)).splitlines():
            assert call(*shlex.split(line, comments=True)[1:]) == 0, line
        for block in re.findall(r"```python\n(.*?)```", TEXT, flags=re.S):
            exec(compile(block, "scenes.md", "exec", dont_inherit=True), {"__name__": "docs"})
    finally:
        os.chdir(before)
    assert "all       100.0% of 200" in capsys.readouterr().out
    drawn, shown = (Image.open(path) for path in (tmp_path / "scenes.png", DOCS / "images/scenes.png"))
    # The words under the pictures may be set in another font of another version of Pillow.
    cells = (slice(3, 259), slice(3, 259))
    assert np.array_equal(np.asarray(drawn)[cells], np.asarray(shown)[cells])
    assert (DOCS / "images/scenes.png").stat().st_size < 150_000

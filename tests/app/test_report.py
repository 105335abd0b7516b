"""The report shows what it is given, all of it and escaped, and asks nothing of the network."""

import base64
import io
import xml.etree.ElementTree as ElementTree
from dataclasses import fields, replace
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from sfumato.app.curves import NoisyCurve, running_mean, series, thinned
from sfumato.app.pictures import film_strip, grid, pairs
from sfumato.app.plots import ACCENT, line_chart
from sfumato.app.report import Figure, Report, render, write_report
from sfumato.app.report.settings import groups, text_of
from sfumato.app.report.training import HELD_OUT, charts
from sfumato.errors import ConfigError

RNG = np.random.default_rng(0)
DIGITS = RNG.integers(0, 256, (20, 1, 8, 8), dtype=np.uint8)
HISTORY = [
    {"step": 10.0, "loss of denoiser": 0.9, "gradient norm of denoiser": 3.0, "learning_rate": 1e-3},
    {"step": 20.0, "loss of denoiser": 0.5, "held_out_loss": 0.61, "held_out_loss_average": None},
    {"step": 30.0, "loss of denoiser": 0.25, "held_out_loss": 0.52, "held_out_loss_average": 0.43},
]
GAME = [
    {
        "step": step,
        "loss of critic": 1.2 - step / 100,
        "loss of generator": step / 100,
        "gradient norm of critic": 2.0,
        "gradient norm of generator": 4.0 / step,
    }
    for step in (10.0, 20.0)
]
FULL = Report(
    title="Digits",
    subtitle="A model of small digits.",
    summary=[("Steps", "20,000")],
    figures=[
        Figure("samples", "Samples", grid(DIGITS), "Twenty samples, seed 7."),
        Figure("film", "From noise to picture", film_strip([DIGITS, DIGITS]), "From left to right."),
    ],
    evidence=[Figure("neighbours", "Is it copying?", pairs(DIGITS, DIGITS), "Below, the nearest.")],
    measures=[("KL (nats)", "21.3")],
    history=HISTORY,
    scores=[("Fréchet distance", "12.4 ± 0.3")],
    score_warnings=["Only 1,000 samples."],
    commands=[("Draw more", "sfumato sample runs/digits -n 100")],
    python_snippet="import sfumato",
    notes=["3 files were left out."],
    config={"seed": 7, "net": {"width": 32, "stages": [{"channels": 48}]}},
    version="0.1.0",
    date="2026-11-22",
)
VOID = {"meta", "img", "br", "hr", "link", "input"}


class Page(HTMLParser):
    """Collects tags, ids and visible text; fails on tags that do not close in order."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.text, self._open = [], "", []
        self.feed(html)
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        if not self._open or self._open[-1] != "style":
            self.text += data

    def all(self, name):
        return [attrs for tag, attrs in self.tags if tag == name]


SECTIONS = ["samples", "film", "loss", "measures", "scores", "neighbours", "use", "notes", "settings"]


def test_a_full_report_has_every_section_and_every_word():
    page = Page(render(FULL))
    assert [section["id"] for section in page.all("section")] == SECTIONS
    for word in (
        *("Digits", "A model of small digits.", "Steps", "20,000", "Twenty samples, seed 7."),
        *("Fréchet distance", "12.4 ± 0.3", "Only 1,000 samples.", "Draw more", "import sfumato"),
        *("sfumato sample runs/digits -n 100", "3 files were left out.", "0.1.0", "2026-11-22"),
        *("seed", "7", "width", "32", "channels", "48"),
    ):
        assert word in page.text


@pytest.mark.parametrize(
    ("left_out", "section"),
    [
        ({"figures": FULL.figures[1:]}, "samples"),
        ({"figures": FULL.figures[:1]}, "film"),
        ({"history": ()}, "loss"),
        ({"measures": ()}, "measures"),
        ({"scores": None, "score_warnings": ()}, "scores"),
        ({"evidence": ()}, "neighbours"),
        ({"commands": (), "python_snippet": ""}, "use"),
        ({"notes": ()}, "notes"),
        ({"config": {}}, "settings"),
    ],
)
def test_what_is_left_out_leaves_no_trace(left_out, section):
    page = Page(render(replace(FULL, **left_out)))
    assert [found["id"] for found in page.all("section")] == [name for name in SECTIONS if name != section]


def test_a_title_is_enough():
    page = Page(render(Report("Bare")))
    assert page.all("section") == page.all("img") == page.all("footer") == []
    assert page.text.split() == ["Bare", "Bare"]


def test_every_word_of_a_user_is_escaped():
    evil = '<script>alert("1")</script>&'
    plain = {
        "summary": [(evil, evil)],
        "figures": [Figure("samples", evil, grid(DIGITS), evil)],
        "measures": [(evil, evil)],
        "scores": [(evil, evil)],
        "score_warnings": [evil],
        "commands": [(evil, evil)],
        "notes": [evil],
        "config": {evil: {evil: evil}, "alone": evil},
    }
    words = {field.name: evil for field in fields(Report) if field.type in (str, "str")}
    page = Page(render(replace(FULL, **words, **plain)))
    assert page.all("script") == []
    # Twice each: summary, figure, measures, scores, commands; four in the nested settings; then the rest.
    assert page.text.count(evil) >= 2 * 5 + 4 + 2 + len(words)
    assert evil in page.all("img")[0]["alt"]


def test_the_page_asks_nothing_of_the_network():
    page = Page(render(FULL))
    for _, attrs in page.tags:
        for name in ("src", "href", "xlink:href", "srcset", "action", "data"):
            assert attrs.get(name, "#").startswith(("data:", "#"))
    assert page.all("script") == page.all("link") == []
    assert "@import" not in render(FULL)
    assert "url(http" not in render(FULL)
    policies = [meta["content"] for meta in page.all("meta") if "http-equiv" in meta]
    assert policies == ["default-src 'none'; img-src data:; style-src 'unsafe-inline'"]


def test_pictures_are_embedded_exactly_and_described():
    shown = Page(render(FULL)).all("img")
    assert len(shown) == 3
    for image, given in zip(
        shown, (figure.picture for figure in (*FULL.figures, *FULL.evidence)), strict=True
    ):
        assert len(image["alt"]) > 20
        kind, _, data = image["src"].partition(",")
        seen = Image.open(io.BytesIO(base64.b64decode(data)))
        assert kind == "data:image/png;base64"
        assert (image["width"], image["height"]) == tuple(str(side) for side in given.size)
        assert (seen.mode, seen.tobytes()) == ("L", given.tobytes())


def test_a_picture_in_equal_channels_is_embedded_as_grey_and_a_heavy_one_as_jpeg():
    grey = FULL.figures[0]
    twice = [
        replace(Report("x"), figures=[replace(grey, picture=shown)])
        for shown in (grey.picture, grey.picture.convert("RGB"))
    ]
    assert render(twice[0]) == render(twice[1])
    heavy = grid(RNG.integers(0, 256, (16, 3, 128, 128), dtype=np.uint8))
    page = render(replace(FULL, figures=[replace(grey, picture=heavy)]))
    assert "data:image/jpeg;base64" in page
    assert len(page) < 1_500_000


def test_a_report_is_written_whole_or_not_at_all(tmp_path):
    write_report(tmp_path / "report.html", FULL)
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == render(FULL)
    with pytest.raises(ConfigError, match="none-such"):
        write_report(tmp_path / "none-such" / "report.html", FULL)
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_settings_keep_every_value_once_and_their_nesting():
    found = groups({"a": 1, "b": {"c": {"d": 2.5}, "e": None}, "f": True, "g": [{"h": ()}], "i": {}})
    assert [group.name for group in found] == ["", "b", "g"]
    lines = [(line.depth, line.name, line.value) for group in found for line in group.lines]
    assert lines == [
        *[(0, "a", "1"), (0, "f", "true"), (0, "i", "none")],
        *[(0, "c", None), (1, "d", "2.5"), (0, "e", "none")],
        *[(0, "1", None), (1, "h", "none")],
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        *[(1, "1"), (0, "0"), (1.0, "1.0"), (True, "true"), (False, "false"), (None, "none")],
        *[
            ("", '""'),
            ("none", "none"),
            ([1, 2, 2], "1, 2, 2"),
            (1e-4, "0.0001"),
            ((None, True), "none, true"),
        ],
    ],
)
def test_settings_read_as_in_a_file(value, text):
    assert text_of(value) == text


CURVES = (NoisyCurve("loss", "each batch", "loss in training", ACCENT), *HELD_OUT)


def drawn(rows):
    svg = line_chart(rows, CURVES, "loss")
    return ElementTree.fromstring(svg), svg


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [{}],
        [{"step": 1.0, "loss": 0.5}],
        [{"step": 1.0, "loss": float("nan")}],
        [{"step": 1.0, "loss": 1.0}, {"step": 2.0, "loss": float("inf")}, {"step": 3.0, "loss": 0.5}],
        [{"step": 1.0, "loss": -1.0}, {"step": 2.0, "loss": 0.0}, {"step": 3.0, "loss": 100.0}],
        [{"step": 1.0, "held_out_loss": 0.5}],
        [{"step": float(i), "loss": 1.0} for i in range(3)],
    ],
)
def test_a_curve_is_drawn_of_any_history(rows):
    root, svg = drawn(rows)
    assert root.tag.endswith("svg")
    assert "nan" not in svg.lower().replace("dominant", "")
    assert "http://www.w3.org" in svg
    assert svg.count("http") == svg.count("http://www.w3.org")
    named = [{key.replace("loss", "loss of one"): value for key, value in row.items()} for row in rows]
    Page(render(replace(FULL, history=named)))


def test_a_curve_names_what_it_draws_and_counts_what_it_cannot():
    plain = drawn([{"step": 1.0, "loss": 0.9}])[1]
    assert "each batch" in plain
    assert "held out" not in plain
    assert "not finite" not in plain
    both = drawn(HISTORY)[1]
    assert "each batch" not in both
    assert "held out, raw weights" in both
    assert "held out, averaged weights" in both
    broken = [*HISTORY, {"step": 40.0, "loss": float("nan")}, {"step": 50.0, "loss": float("inf")}]
    assert "not drawn: 2" in drawn(broken)[1]


def test_a_game_shows_each_players_loss_and_gradient_and_a_lone_player_its_loss():
    (alone,) = charts(HISTORY)
    assert "training, running mean" in alone.drawing
    assert "denoiser" not in alone.drawing
    assert charts([{"step": 1.0}]) == []
    losses, norms = charts(GAME)
    for chart in (losses, norms):
        legend = [text.text for text in ElementTree.fromstring(chart.drawing).iter() if text.text]
        assert {"critic", "generator"} <= set(legend)
    assert losses.words == (
        "Loss of critic 1.1 at step 10 and 1 at step 20; loss of generator 0.1 at step 10 and 0.2 at step 20"
    )
    assert norms.words.startswith("Gradient norm of critic 2 at step 10")
    assert norms.words.endswith("gradient norm of generator 0.4 at step 10 and 0.2 at step 20")
    page = Page(render(replace(FULL, history=GAME)))
    assert len([svg for svg in page.all("svg") if svg.get("role") == "img"]) == 2


def test_a_wide_range_has_a_logarithmic_scale():
    steps = np.arange(1.0, 41.0)
    narrow, wide = ([{"step": s, "loss": 1.0 / s**p} for s in steps] for p in (0.1, 2.0))
    assert "0.002" not in drawn(narrow)[1]
    assert "0.002" in drawn(wide)[1]


def test_a_curve_is_the_same_each_time_and_small_for_a_long_run():
    rows = [{"step": float(i), "loss": float(loss)} for i, loss in enumerate(RNG.uniform(1, 2, 50_000))]
    first = drawn(rows)[1]
    assert first == drawn(rows)[1]
    assert len(first) < 100_000


def test_series_keeps_finite_numbers_with_their_steps():
    rows = [{"step": 1.0, "loss": 2.0}, {"step": 2.0}, {"loss": 1.0}, {"step": 3.0, "loss": None}]
    rows += [{"step": 4.0, "loss": float("nan")}, {"step": 5.0, "loss": 3.0}]
    steps, values = series(rows, "loss")
    assert (steps.tolist(), values.tolist()) == ([1.0, 5.0], [2.0, 3.0])


def test_a_running_mean_keeps_lines_straight_up_to_its_end_and_calms_noise():
    line = np.linspace(5, -3, 400)
    np.testing.assert_allclose(running_mean(line)[:390], line[:390])
    noise = RNG.normal(size=4000)
    assert running_mean(noise)[100:].std() < noise.std() / 5
    for count in (0, 1, 2, 39):
        np.testing.assert_allclose(running_mean(line[:count]), line[:count])


def test_thinning_keeps_both_ends_and_every_spike():
    values = RNG.uniform(0, 1, 10_001)
    values[1234], values[8765] = 50.0, -50.0
    kept = thinned(values, 100)
    assert {0, 1234, 8765, 10_000} <= set(kept.tolist())
    assert len(kept) <= 100
    assert (np.diff(kept) > 0).all()
    np.testing.assert_array_equal(thinned(values[:100], 100), np.arange(100))


def test_the_caption_tells_where_the_losses_end():
    text = Page(render(FULL)).text
    assert "0.9 at step 10 and 0.25 at step 30" in text
    assert "held out with averaged weights 0.43 at step 30" in text

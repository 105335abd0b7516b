"""Pictures hold the pixels they were given, in their places, and files appear whole or not at all."""

import re

import numpy as np
import pytest
from PIL import Image, ImageSequence

from sfumato.app.pictures import (
    columns_for,
    film,
    film_strip,
    grid,
    pairs,
    picture,
    save_film,
    save_image,
    scatter,
    write_bytes,
)
from sfumato.app.pictures.films import HOLD, evenly
from sfumato.app.pictures.grids import CAPTION, GUTTER, LINE
from sfumato.app.pictures.points import window_of
from sfumato.errors import ConfigError, DataError


def images(count, channels=1, height=8, width=8, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, channels, height, width), dtype=np.uint8)


def cell(sheet, row, column, height, width, below=0):
    top = GUTTER + row * (height + below + GUTTER)
    left = GUTTER + column * (width + GUTTER)
    return np.asarray(sheet)[top : top + height, left : left + width]


def corrupted(final, count, seed=0):
    """Return `count` frames from noise to `final`."""
    noise = images(len(final), *final.shape[1:], seed=seed)
    weights = np.linspace(0, 1, count)
    return [((1 - w) * noise + w * final).round().astype(np.uint8) for w in weights]


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB")])
def test_a_grid_holds_every_pixel_enlarged_exactly(channels, mode):
    given = images(7, channels, height=5, width=6)
    sheet = grid(given, columns=3, scale=4)
    assert sheet.mode == mode
    assert sheet.size == (3 * 24 + 4 * GUTTER, 3 * 20 + 4 * GUTTER)
    for i, image in enumerate(given):
        enlarged = np.kron(image, np.ones((1, 4, 4), dtype=np.uint8))
        seen = cell(sheet, i // 3, i % 3, 20, 24).reshape(20, 24, channels)
        np.testing.assert_array_equal(seen, enlarged.transpose(1, 2, 0))


def test_gutters_and_empty_cells_are_paper():
    sheet = np.asarray(grid(np.full((3, 1, 8, 8), 255, np.uint8), columns=2, scale=2))
    paper = sheet[0, 0]
    assert paper < 100
    assert (sheet[:GUTTER] == paper).all()
    assert (sheet[:, -GUTTER:] == paper).all()
    assert (sheet[-GUTTER - 16 :, -GUTTER - 16 :] == paper).all()
    assert (sheet == 255).sum() == 3 * 16 * 16


@pytest.mark.parametrize(
    ("side", "scale"), [(4, 16), (8, 8), (16, 4), (24, 3), (28, 2), (32, 2), (64, 1), (256, 1)]
)
def test_small_images_are_enlarged_towards_64_pixels(side, scale):
    assert grid(images(1, height=side, width=side)).width == side * scale + 2 * GUTTER


@pytest.mark.parametrize(
    ("count", "labels", "columns"),
    [
        (1, None, 1),
        (16, None, 4),
        (17, None, 5),
        (100, np.arange(100) % 10, 10),
        (25, np.arange(25) % 10, 10),
        (400, np.arange(400) % 10, 20),
        (100, np.arange(100) // 10, 10),
        (64, np.zeros(64, int), 8),
        (100, np.arange(100) % 50, 10),
        (16, np.arange(16) // 4, 4),
    ],
)
def test_columns_follow_a_cycle_of_labels_or_are_near_square(count, labels, columns):
    assert columns_for(count, labels) == columns


def test_captions_take_a_line_of_their_own_and_leave_the_cells_alone():
    given = np.zeros((4, 1, 32, 32), np.uint8)
    plain = grid(given, columns=2)
    told = grid(given, columns=2, captions=["one", "", "a caption far wider than its cell", "ü"])
    lines = 3  # "a caption", "far wider than", "its cell" in 64 pixels
    below = CAPTION + (lines - 1) * LINE
    assert told.height == plain.height + 2 * below
    assert told.width == plain.width
    for i in range(4):
        assert (cell(told, i // 2, i % 2, 64, 64, below) == 0).all()
    array, paper = np.asarray(told), told.getpixel((0, 0))
    strips = [array[GUTTER + 64 :][:below], array[-GUTTER - below :][:below]]
    left, right = slice(GUTTER, GUTTER + 64), slice(2 * GUTTER + 64, 2 * GUTTER + 128)
    written = [(strip[:, side] != paper).any() for strip in strips for side in (left, right)]
    assert written == [True, False, True, True]
    assert (strips[1][:, GUTTER + 64 : 2 * GUTTER + 64] == paper).all()


def test_wrong_arrays_are_refused_in_one_line():
    bad = [images(2)[:0], images(2, 2), images(2)[0], images(2).astype(np.float32)]
    for array in bad:
        with pytest.raises(DataError, match="uint8") as error:
            grid(array)
        assert "\n" not in str(error.value)
    with pytest.raises(DataError, match="2 captions"):
        grid(images(2), captions=["one"])
    with pytest.raises(DataError, match="can be drawn"):
        picture(np.zeros((4, 3)).reshape(2, 2, 3))
    with pytest.raises(DataError, match="plane"):
        picture(np.zeros((4, 3)))
    with pytest.raises(DataError, match="same shape"):
        pairs(images(3), images(2))
    with pytest.raises(DataError, match="labels"):
        scatter(np.zeros((4, 2)), labels=[1, 2])


def test_a_picture_of_images_is_a_grid_in_the_labels_columns():
    given = images(30)
    assert picture(given, np.arange(30) % 10).tobytes() == grid(given, columns=10).tobytes()
    assert picture(given, columns=6).tobytes() == grid(given, columns=6).tobytes()


def test_a_scatter_shows_points_where_they_are():
    points = np.array([[-1.0, -1.0], [1.0, 1.0]], np.float32)
    seen = np.asarray(picture(points).convert("L"))
    side = len(seen) // 2
    dark = [
        (half < 200).any() for rows in (seen[:side], seen[side:]) for half in (rows[:, :side], rows[:, side:])
    ]
    assert dark == [False, True, True, False]


def test_labels_colour_points_and_real_data_lie_behind_in_grey():
    points = np.array([[0.0, 0.0], [1.0, 0.0]])
    plain, labelled = (np.asarray(scatter(points, labels)) for labels in (None, [0, 1]))
    assert not np.array_equal(plain, labelled)
    behind = np.asarray(scatter(points, reference=np.add(points, [0.0, 0.5])), dtype=int)
    coloured = behind.max(2) - behind.min(2) > 40
    grey = (behind.max(2) < 235) & (behind.max(2) - behind.min(2) < 20)
    assert np.flatnonzero(grey.any(1)).max() < np.flatnonzero(coloured.any(1)).min()


def test_a_window_covers_all_finite_points_and_has_some_width():
    points = np.array([[0.0, 5.0], [2.0, np.nan], [4.0, 6.0]])
    left, right, bottom, top = window_of(points, np.array([[9.0, 5.0]]))
    assert left < 0 < 9 < right
    assert bottom < 5 < 6 < top
    assert right - left == pytest.approx(top - bottom)
    for still in (np.full((3, 2), 1e6), np.full((2, 2), np.nan)):
        left, right, bottom, top = window_of(still)
        assert left < right
        assert bottom < top
        assert scatter(still).size == (520, 520)


def test_pairs_stand_above_each_other():
    samples, neighbours = images(5, seed=1), images(5, seed=2)
    sheet = np.asarray(pairs(samples, neighbours, columns=3))
    enlarged = [np.kron(array[:, 0], np.ones((8, 8), np.uint8)) for array in (samples, neighbours)]
    np.testing.assert_array_equal(cell(sheet, 0, 2, 64, 64), enlarged[0][2])
    np.testing.assert_array_equal(cell(sheet, 1, 2, 64, 64), enlarged[1][2])
    three = np.asarray(pairs(samples, neighbours, samples, columns=5))
    np.testing.assert_array_equal(cell(three, 2, 4, 64, 64), enlarged[0][4])
    block = 2 * 64 + 3 * GUTTER
    below = sheet[-block:]
    np.testing.assert_array_equal(cell(below, 0, 1, 64, 64), enlarged[0][4])
    np.testing.assert_array_equal(cell(below, 1, 1, 64, 64), enlarged[1][4])


def test_moments_are_evenly_spaced_and_keep_both_ends():
    assert evenly(range(5), 10) == [0, 1, 2, 3, 4]
    assert evenly(range(101), 5) == [0, 25, 50, 75, 100]
    assert evenly(range(7), 1) == [6]
    for count in range(2, 20):
        kept = evenly(range(37), count)
        assert (len(kept), kept[0], kept[-1]) == (count, 0, 36)
        assert np.ptp(np.diff(kept)) <= 1


def test_a_film_strip_has_an_image_a_row_and_a_moment_a_column():
    frames = corrupted(images(6, seed=3), 11)
    strip = film_strip(frames, rows=2, steps=3)
    assert strip.size == (3 * 64 + 4 * GUTTER, 2 * 64 + 3 * GUTTER)
    for row in range(2):
        for column, moment in enumerate((0, 5, 10)):
            enlarged = np.kron(frames[moment][row, 0], np.ones((8, 8), np.uint8))
            np.testing.assert_array_equal(cell(strip, row, column, 64, 64), enlarged)


def test_points_have_films_and_strips_in_a_window_that_stands_still():
    final = np.array([[0.0, 0.0], [1.0, 1.0]])
    noise = np.array([[0.0, 0.0], [50.0, 50.0]])
    drawn = film([noise, final])
    assert [frame.size for frame in drawn] == [(520, 520)] * 2
    assert drawn[-1].tobytes() == picture(final).tobytes()
    before, after = (np.asarray(frame.convert("L")) < 200 for frame in drawn)
    # The far point lies outside; the one at the origin has not moved.
    np.testing.assert_array_equal(before[260:], after[260:])
    assert before[260:].any()
    assert not before[:260].any()
    assert film_strip([noise, noise, final]).width > 3 * 100


def test_a_grey_film_keeps_its_frames_exactly_and_runs_for_ever(tmp_path):
    frames = film(corrupted(images(4, seed=5), 9))
    save_film(tmp_path / "film.gif", frames, seconds=2.7)
    with Image.open(tmp_path / "film.gif") as gif:
        assert gif.n_frames == 9
        assert gif.info["loop"] == 0
        durations = []
        for shown, given in zip(ImageSequence.Iterator(gif), frames, strict=True):
            durations.append(shown.info["duration"])
            assert shown.convert("L").tobytes() == given.tobytes()
    assert durations == [300] * 8 + [HOLD]


def test_a_colour_film_comes_near_its_colours_and_ends_on_them(tmp_path):
    ramp = np.linspace(0, 255, 8)
    final = np.stack([np.add.outer(ramp, ramp) / 2, np.tile(ramp, (8, 1)), np.tile(ramp, (8, 1)).T])
    frames = film(corrupted(np.stack([final, 255 - final]).astype(np.uint8), 5))
    save_film(tmp_path / "film.gif", frames)
    with Image.open(tmp_path / "film.gif") as gif:
        shown = [np.asarray(frame.convert("RGB"), float) for frame in ImageSequence.Iterator(gif)]
    assert len(shown) == 5
    apart = [np.abs(seen - np.asarray(given)).mean() for seen, given in zip(shown, frames, strict=True)]
    assert max(apart[:-1]) < 12  # 255 colours for all that moves: colours of noise are the furthest
    assert apart[-1] == 0  # fewer than 256 colours, so its own palette has them all


def test_a_long_film_is_thinned_and_a_short_one_still_is_one(tmp_path):
    frames = [Image.fromarray(np.full((4, 4), i, np.uint8)) for i in range(200)]
    save_film(tmp_path / "long.gif", frames, seconds=1)
    save_film(tmp_path / "short.gif", frames[:1])
    with Image.open(tmp_path / "long.gif") as gif:
        levels = [frame.convert("L").getpixel((0, 0)) for frame in ImageSequence.Iterator(gif)]
        assert (len(levels), levels[0], levels[-1]) == (25, 0, 199)
    with Image.open(tmp_path / "short.gif") as gif:
        assert gif.convert("L").getpixel((0, 0)) == 0


def test_what_is_no_film_is_refused(tmp_path):
    frames = film(corrupted(images(1), 2))
    for path, given, seconds, words in [
        ("film.png", frames, 4, r"\.gif"),
        ("film.gif", frames, 0, "positive"),
        ("film.gif", frames, float("nan"), "positive"),
    ]:
        with pytest.raises(ConfigError, match=words):
            save_film(tmp_path / path, given, seconds)
    with pytest.raises(DataError, match="at least one frame"):
        save_film(tmp_path / "film.gif", [])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("ending", [".png", ".PNG", ".jpg", ".webp"])
def test_pictures_are_written_in_the_format_of_their_ending(tmp_path, ending):
    sheet = grid(images(4, 3))
    save_image(tmp_path / f"sheet{ending}", sheet)
    assert [path.name for path in tmp_path.iterdir()] == [f"sheet{ending}"]
    with Image.open(tmp_path / f"sheet{ending}") as seen:
        assert seen.format == {".png": "PNG", ".jpg": "JPEG", ".webp": "WEBP"}[ending.lower()]
        assert seen.size == sheet.size
        if ending != ".jpg":
            assert seen.convert("RGB").tobytes() == sheet.tobytes()


def test_an_unknown_ending_names_the_known_ones(tmp_path):
    with pytest.raises(ConfigError, match=re.escape(".png")):
        save_image(tmp_path / "sheet.bmpp", grid(images(1)))


def test_a_path_that_cannot_be_written_is_named_and_nothing_is_left(tmp_path):
    (tmp_path / "file").write_text("old")
    (tmp_path / "folder.png").mkdir()
    for path in (tmp_path / "missing" / "a.png", tmp_path / "file" / "a.png", tmp_path / "folder.png"):
        with pytest.raises(ConfigError, match=re.escape(str(path))) as error:
            save_image(path, grid(images(1)))
        assert "\n" not in str(error.value)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "folder.png"]


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "kept"
    write_bytes(path, b"old")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(ConfigError, match="no space left"):
        write_bytes(path, b"new")
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["kept"]
    monkeypatch.undo()
    write_bytes(path, b"new")
    assert path.read_bytes() == b"new"


def test_a_file_has_the_rights_of_any_new_file(tmp_path):
    (tmp_path / "plain").write_bytes(b"")
    write_bytes(tmp_path / "ours", b"")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "plain").stat().st_mode

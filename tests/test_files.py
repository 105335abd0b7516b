"""Files that are whole or not there."""

from pathlib import Path

import pytest

from sfumato.files import sweep, whole_file, write_whole


def test_a_file_takes_the_old_one_s_place_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_whole(path, b"old")
    with whole_file(path) as temporary:
        temporary.write_bytes(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_whole(path, b"old")

    def fail() -> None:
        with whole_file(path) as temporary:
            temporary.write_bytes(b"half")
            raise RuntimeError("the disk is full")

    with pytest.raises(RuntimeError, match="full"):
        fail()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_kill_left_is_swept(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_whole(path, b"kept")
    (tmp_path / ".file.0a1b.part").write_bytes(b"half")
    sweep(tmp_path)
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_not_there_is_an_error_of_the_system(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_whole(tmp_path / "missing" / "file", b"")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(NotADirectoryError):
        write_whole(tmp_path / "file" / "below", b"")

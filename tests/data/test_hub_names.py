"""Data sets of the Hugging Face hub by name, fetched from a small hub on this machine."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from sfumato.data import load_data
from sfumato.data.hub import HubName
from sfumato.data.sources import names
from sfumato.errors import DataError

COMMIT = "0123456789abcdef0123456789abcdef01234567"
USE = """
from sfumato.data import load_data
from sfumato.errors import DataError
data = load_data("hf:owner/pets")
print(data.name, data.source, data.train.captions, data.held_out.captions, data.content_hash)
print(len(load_data("hf:owner/pets/train", held_out=0).train))
try:
    load_data("hf:owner/gone")
except DataError as error:
    print(error)
"""


class Hub(BaseHTTPRequestHandler):
    """Answer what the hub answers about the one data set owner/pets: its commit, its files, their content."""

    root: Path

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def _answer(self, with_body: bool) -> None:
        content = self._content(self.path.split("?")[0])
        self.send_response(404 if content is None else 200)
        self.send_header("Content-Length", str(len(content or b"")))
        if content is None:
            self.send_header("X-Error-Code", "RepoNotFound")
        self.send_header("ETag", f'"{hashlib.sha1(content or b"").hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.end_headers()
        self.wfile.write((content or b"") if with_body else b"")

    def _content(self, path: str) -> bytes | None:
        files = sorted(file for file in self.root.rglob("*") if file.is_file())
        if path.startswith(f"/datasets/owner/pets/resolve/{COMMIT}/"):
            return (self.root / path.split(f"{COMMIT}/")[1]).read_bytes()
        if not path.startswith("/api/datasets/owner/pets/"):
            return None
        names = [file.relative_to(self.root).as_posix() for file in files]
        if "/tree/" in path:
            sizes = [
                {"type": "file", "path": name, "size": file.stat().st_size, "oid": name}
                for name, file in zip(names, files, strict=True)
            ]
            return json.dumps(sizes).encode()
        listed = {"id": "owner/pets", "sha": COMMIT, "siblings": [{"rfilename": name} for name in names]}
        return json.dumps(listed).encode()


@pytest.fixture
def pets(tmp_path: Path, picture) -> Path:  # type: ignore[no-untyped-def]
    """Captioned pictures, three to train on and two to test."""
    for seed in range(5):
        path = picture(tmp_path / "pets" / ("train" if seed < 3 else "test") / f"{seed}.png", seed)
        path.with_suffix(".txt").write_text(f"nr {seed}")
    return tmp_path / "pets"


@pytest.fixture
def hub(pets: Path) -> Iterator[str]:
    """The address of a hub that has the pets."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Here", (Hub,), {"root": pets}))
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_a_data_set_is_fetched_and_read_like_its_folder(pets, hub, tmp_path):
    """In a process of its own: the hub's library looks for its address and cache when it is imported."""
    settings = {"HF_ENDPOINT": hub, "HF_HOME": str(tmp_path / "home"), "NO_PROXY": "127.0.0.1"}
    done = subprocess.run(
        [sys.executable, "-c", USE], env=os.environ | settings, capture_output=True, text=True, check=True
    )
    first, second, third = done.stdout.splitlines()
    told = ("nr 0", "nr 1", "nr 2"), ("nr 3", "nr 4")
    assert first == f"pets hf:owner/pets {told[0]} {told[1]} {load_data(pets).content_hash}"
    assert second == "3"
    assert third.startswith("'hf:owner/gone' cannot be fetched (404")


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("hf:owner/name", HubName("owner/name")),
        ("hf:owner/my.set-1_x/", HubName("owner/my.set-1_x")),
        ("hf:owner/name/a/b", HubName("owner/name", "a/b")),
        ("hf:owner/name@refs/convert/parquet", HubName("owner/name", "", "refs/convert/parquet")),
        ("hf:owner/name/a@v1.0", HubName("owner/name", "a", "v1.0")),
        ("owner/name", None),
        (Path("hf:owner/name"), None),
    ],
)
def test_names_of_the_hub(source, expected):
    assert HubName.parse(source) == expected


@pytest.mark.parametrize("source", ["hf:", "hf:name", "hf:owner/", "hf:owner/name@", "hf:own er/name"])
def test_half_a_name_of_the_hub_is_an_error(source):
    with pytest.raises(DataError, match="hf:owner/name"):
        load_data(source)


def test_the_part_and_the_revision_asked_for_are_what_is_fetched(pets, monkeypatch):
    asked: list[Any] = []

    def snapshot_download(repo: str, **given: Any) -> str:
        asked.append((repo, given))
        return str(pets)

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    data = load_data("hf:owner/pets")
    assert (data.name, data.source) == names("hf:owner/pets") == ("pets", "hf:owner/pets")
    assert len(load_data("hf:owner/pets/test@v1", held_out=0).train) == 2
    (repo, whole), (_, part) = asked
    assert repo == "owner/pets"
    assert whole == {"repo_type": "dataset", "revision": None, "allow_patterns": None}
    assert part == {"repo_type": "dataset", "revision": "v1", "allow_patterns": ["test/*"]}


def test_a_name_that_cannot_be_fetched_says_where_to_look(monkeypatch):
    def snapshot_download(repo: str, **given: Any) -> str:
        raise OSError("no such\n repository")

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    with pytest.raises(DataError, match=r"no such repository.*huggingface\.co/datasets/owner/pets") as error:
        load_data("hf:owner/pets")
    assert "\n" not in str(error.value)

"""What lies beside each picture under the same name: `000017.jpg`, `000017.txt`, `000017.cls`, `000017.json`.

    .txt    the caption, in UTF-8; several lines are one caption
    .json   a caption under the key `caption` or `text`, where there is no .txt
    .cls    the class, a number or a name

The same in a folder, a zip, a tar and WebDataset's shards.
https://github.com/webdataset/webdataset#the-webdataset-format
"""

import json
import posixpath
from collections.abc import Collection, Sequence

from sfumato.data.files import Files
from sfumato.data.rows import Row

WHERE = "beside it"
_KEYS = ("caption", "text")


def read_sidecars(files: Files, names: Sequence[str]) -> list[Row]:
    """Return what lies beside each of the pictures `names`: an empty caption where it is not UTF-8."""
    present = frozenset(files.names)
    return [_row(files, present, posixpath.splitext(name)[0]) for name in names]


def _row(files: Files, present: Collection[str], stem: str) -> Row:
    endings = [ending for ending in (".txt", ".json", ".cls") if stem + ending in present]
    texts = {ending: _text(files, stem + ending) for ending in endings}
    described = _described(texts[".json"]) if ".json" in texts else None
    return Row(label=texts.get(".cls"), text=texts.get(".txt", described))


def _text(files: Files, name: str) -> str:
    """Return the words of a file in one line."""
    try:
        return " ".join(files.read(name).decode("utf-8-sig").split())
    except UnicodeDecodeError:
        return ""


def _described(text: str) -> str | None:
    try:
        content = json.loads(text)
    except json.JSONDecodeError:
        return None
    said = [content.get(key) for key in _KEYS] if isinstance(content, dict) else []
    return next((" ".join(words.split()) for words in said if isinstance(words, str)), None)

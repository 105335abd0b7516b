"""A run's nested settings as groups of lines, each with its depth: what the page lays out as tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Line:
    """One setting. depth: 0 at the top of its group; value: its text, None where lines below hold it."""

    depth: int
    name: str
    value: str | None


@dataclass(frozen=True)
class Group:
    """The settings under one name of the top level; the ones that stand there alone come under no name."""

    name: str
    lines: tuple[Line, ...]


def groups(config: Mapping[str, object]) -> list[Group]:
    """Return every value of `config` once: first those of the top level, then a group for each branch."""
    alone = {name: value for name, value in config.items() if not _branches(value)}
    found = [Group("", tuple(_lines(alone)))] if alone else []
    return found + [
        Group(str(name), tuple(_lines(_branches(config[name])))) for name in config if name not in alone
    ]


def text_of(value: object) -> str:
    """Return a single value as a settings file would write it."""
    if isinstance(value, str):
        return value if value else '""'
    if isinstance(value, Mapping | Sequence):
        return ", ".join(text_of(item) for item in value) or "none"
    if value is None or isinstance(value, bool):
        return str(value).lower()
    return str(value)


def _branches(value: object) -> Mapping[Any, object]:
    """Return the named parts of a mapping, or of a list that holds mappings; nothing for a single value."""
    if isinstance(value, Mapping):
        return value
    if isinstance(value, Sequence) and any(isinstance(item, Mapping) for item in value):
        return dict(enumerate(value, start=1))
    return {}


def _lines(values: Mapping[Any, object], depth: int = 0) -> list[Line]:
    lines: list[Line] = []
    for name, value in values.items():
        parts = _branches(value)
        lines.append(Line(depth, str(name), None if parts else text_of(value)))
        lines += _lines(parts, depth + 1)
    return lines

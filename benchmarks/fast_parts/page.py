"""The page of results: sections that are replaced one by one, and above them all goals in one table.

A section lies between two comments that name it, so a page can be taken apart again without a second file.
The table above is read from the sections themselves and cannot disagree with them.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

GOALS = "| goal | wanted | measured | held |\n|---|---|---|---|"
_SECTION = re.compile(r"<!-- part (?P<name>\w+) -->\n(?P<text>.*?)\n<!-- end (?P=name) -->", re.DOTALL)
_GOALS = re.compile(re.escape(GOALS) + r"\n(?P<rows>(?:\|.*\n?)+)")


@dataclass(frozen=True)
class Goal:
    """A figure that was promised: `held` says whether `measured` is what was wanted."""

    what: str
    wanted: str
    measured: str
    held: bool

    def __str__(self) -> str:
        return f"| {self.what} | {self.wanted} | {self.measured} | {'yes' if self.held else '**no**'} |"


@dataclass(frozen=True)
class Section:
    """What a part has to say: its goals and, as Markdown, the rest."""

    title: str
    text: str
    goals: tuple[Goal, ...] = ()

    def markdown(self, circumstances: str) -> str:
        """Return the section as text; circumstances: when, and on what machine."""
        goals = "\n".join([GOALS, *map(str, self.goals)]) if self.goals else ""
        return "\n\n".join(filter(None, [f"## {self.title}", circumstances, goals, self.text.strip()]))


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table as Markdown, columns after the first one flush right."""
    lines = [head, ["---", *["--:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def sections_of(page: str) -> dict[str, str]:
    """Return the sections of a page by name."""
    return {found["name"]: found["text"] for found in _SECTION.finditer(page)}


def page_of(title: str, about: str, sections: Mapping[str, str], order: Iterable[str]) -> str:
    """Return the whole page: title, what it is, the goals of all sections, the sections in `order`."""
    present = [(name, sections[name]) for name in order if name in sections]
    rows = [found["rows"].strip() for _, text in present for found in _GOALS.finditer(text)]
    goals = "\n".join([GOALS, *rows]) if rows else "No goal was measured yet."
    bodies = [f"<!-- part {name} -->\n{text}\n<!-- end {name} -->" for name, text in present]
    return "\n\n".join([f"# {title}", about.strip(), goals, *bodies]) + "\n"

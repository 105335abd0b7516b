"""What a report says, as plain things: it knows no trainer, no run folder and no torch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from PIL import Image

from sfumato.train.history import Row


@dataclass(frozen=True)
class Figure:
    """A picture under its heading. name: of its place on the page, for links."""

    name: str
    heading: str
    picture: Image.Image
    caption: str


@dataclass(frozen=True)
class Report:
    """The content of one page. What is left out, or empty, leaves no trace on it.

    title, subtitle: what was made, in a few words and in a sentence;
    summary: facts as (name, value), shown in a row of tiles;
    config: the run's settings, nested as they are, every value shown;
    history: rows of the training log, see `sfumato.app.report.training`;
    figures: pictures of what it makes, in their order; evidence: pictures to judge it by, below the scores;
    measures: (name, value) of what the family says of itself;
    scores: (name, value as text with its spread); score_warnings: a sentence each, shown above them;
    commands: (explanation, command line); python_snippet: how to use the run from Python;
    notes: sentences, for example about skipped files; version, date: for the foot of the page.
    """

    title: str
    subtitle: str = ""
    summary: Sequence[tuple[str, str]] = ()
    figures: Sequence[Figure] = ()
    evidence: Sequence[Figure] = ()
    measures: Sequence[tuple[str, str]] = ()
    history: Sequence[Row] = ()
    scores: Sequence[tuple[str, str]] | None = None
    score_warnings: Sequence[str] = ()
    commands: Sequence[tuple[str, str]] = ()
    python_snippet: str = ""
    notes: Sequence[str] = ()
    config: Mapping[str, object] = field(default_factory=dict)
    version: str = ""
    date: str = ""

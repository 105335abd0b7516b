"""What a source says of each picture: its class, its caption, its attributes.

If some pictures have one, all need it: a model cannot learn from an empty caption what a picture shows. Those
that lack it are left out by name; where most lack a caption, that is an error.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sfumato.data.dataset import Skipped
from sfumato.errors import DataError

_SHOWN = 3  # names in an error
_WORDS = {"label": "label", "text": "caption", "attributes": "attributes"}


@dataclass(frozen=True)
class Row:
    """What is known of one picture; None where nothing is said, "" where the place for it is empty."""

    label: str | None = None
    text: str | None = None
    attributes: tuple[bool, ...] | None = None


@dataclass(frozen=True, eq=False)
class Told:
    """What is known of the M pictures that are kept of N.

    keep: bool (N,); labels: str (M,), captions: M texts, attributes: bool (M, A), each None where the source
    has none; skipped: those left out, with reasons.
    """

    keep: np.ndarray
    labels: np.ndarray | None
    captions: tuple[str, ...] | None
    attributes: np.ndarray | None
    skipped: tuple[Skipped, ...]


def complete(names: Sequence[str], rows: Sequence[Row | None], where: str) -> Told:
    """Keep the pictures of which everything is known that is known of any.

    names and rows: N of each, None for a picture of which the source does not speak; where: such as
    "in metadata.csv", for reasons. Raises DataError where more than half of the pictures that the source
    speaks of lack a caption while others have one.
    """
    told = [row for row in rows if row is not None]
    wanted = [field for field in _WORDS if any(getattr(row, field) is not None for row in told)]
    reasons = [_why_not(row, wanted, where) for row in rows]
    if "text" in wanted:
        _check_captions(names, rows, where)
    kept = [row for row, why in zip(rows, reasons, strict=True) if row is not None and not why]
    return Told(
        keep=np.array([not why for why in reasons], bool),
        labels=np.array([row.label for row in kept], str) if "label" in wanted else None,
        captions=tuple(row.text or "" for row in kept) if "text" in wanted else None,
        attributes=np.array([row.attributes for row in kept], bool) if "attributes" in wanted else None,
        skipped=tuple(Skipped(name, why) for name, why in zip(names, reasons, strict=True) if why),
    )


def _why_not(row: Row | None, wanted: list[str], where: str) -> str:
    if row is None:
        return f"not named {where}"
    return next((f"no {_WORDS[field]} {where}" for field in wanted if not getattr(row, field)), "")


def _check_captions(names: Sequence[str], rows: Sequence[Row | None], where: str) -> None:
    without = [name for name, row in zip(names, rows, strict=True) if row is not None and not row.text]
    count = sum(row is not None for row in rows)
    if 2 * len(without) > count:
        first = ", ".join(f"'{name}'" for name in without[:_SHOWN]) + (", …" if len(without) > _SHOWN else "")
        raise DataError(
            f"{len(without)} of {count} pictures have no caption {where} ({first}): write one for each, or "
            "take the other captions away to go without."
        )

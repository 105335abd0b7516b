"""CelebA in its official layout: https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html (Liu et al. 2015)

    img_align_celeba/000001.jpg …      or img_align_celeba.zip, not unpacked
    list_attr_celeba.txt               how many; forty names; a row each: 000001.jpg -1 1 …
    list_eval_partition.txt            a row each: 000001.jpg 0, where 0 is train, 1 validation, 2 test

All in one folder, or in `Img`, `Anno` and `Eval` as downloaded. As everywhere, train and test are the splits,
and validation is left out; who the people are (`identity_CelebA.txt`) is not read.
"""

import posixpath
from dataclasses import replace

from sfumato.data.dataset import Skipped
from sfumato.data.files import Files, base_name
from sfumato.data.folders import found_pictures
from sfumato.data.found import Found
from sfumato.data.listing import Listing, picture_names
from sfumato.data.rows import Row
from sfumato.data.splits import sort_out
from sfumato.errors import DataError

ATTRIBUTES, PARTITION, ALIGNED = "list_attr_celeba.txt", "list_eval_partition.txt", "img_align_celeba"
_SPLITS = {"0": "train", "1": "val", "2": "test"}
_FLAGS = {"1": True, "-1": False}


def find_celeba(files: Files) -> Found | None:
    """Return CelebA's pictures with their attributes; None where the list of these or the pictures are not.

    Raises DataError for a list that is broken.
    """
    lists = {base_name(name): name for name in files.names if base_name(name) in (ATTRIBUTES, PARTITION)}
    pictures = _pictures(files)
    if ATTRIBUTES not in lists or not pictures:
        return None
    attributes, flags = parse_attributes(_lines(files, lists[ATTRIBUTES]))
    listing = Listing(tuple(pictures), tuple(pictures))
    if PARTITION in lists:
        listing = _split(listing, parse_partition(_lines(files, lists[PARTITION])))
    rows = [Row(attributes=flags[stem]) if (stem := _stem(name)) in flags else None for name in listing.names]
    absent = len(set(flags) - {_stem(name) for name in pictures})
    if absent:  # one line for all of them: of 200,000 names nobody has a use
        gone = Skipped(f"{absent} pictures", f"named in {ATTRIBUTES}, not found")
        listing = replace(listing, skipped=(*listing.skipped, gone))
    return found_pictures(files, listing, rows, f"in {ATTRIBUTES}", attributes)


def _pictures(files: Files) -> list[str]:
    """Return the aligned pictures where there are some: the download may hold those in the wild too."""
    names = picture_names(files)
    aligned = [name for name in names if any(part.startswith(ALIGNED) for part in name.split("/")[:-1])]
    return aligned or names


def _stem(name: str) -> str:
    # Not the whole name: the lists say .jpg of the PNG edition too.
    return posixpath.splitext(base_name(name))[0]


def _lines(files: Files, name: str) -> list[list[str]]:
    lines = files.read(name).decode("utf-8", "replace").splitlines()
    return [line.split() for line in lines if line.strip()]


def _split(listing: Listing, splits: dict[str, str]) -> Listing:
    used, held_out, skipped = sort_out([splits.get(_stem(name), "") for name in listing.names])
    names = tuple(listing.names[place] for place in used)
    return Listing(names, names, held_out, skipped)


def parse_attributes(lines: list[list[str]]) -> tuple[tuple[str, ...], dict[str, tuple[bool, ...]]]:
    """Return the names of the attributes, and {picture without ending: its flags}, from the list's words.

    Raises DataError where the rows are not as many as the first line says, or one lacks a flag for a name.
    """
    names, rows = (lines[1], lines[2:]) if len(lines) > 2 else ([], [])
    if not rows or lines[0] != [str(len(rows))]:
        raise DataError(
            f"'{ATTRIBUTES}' has {len(rows)} rows, and its first line is not that number: fetch it again, or "
            "correct that line."
        )
    for row in rows:
        if len(row) != len(names) + 1 or not set(row[1:]) <= set(_FLAGS):
            raise DataError(
                f"'{ATTRIBUTES}', row '{row[0]}', is not {len(names)} of 1 and -1: fetch it anew."
            )
    return tuple(names), {_stem(row[0]): tuple(_FLAGS[flag] for flag in row[1:]) for row in rows}


def parse_partition(lines: list[list[str]]) -> dict[str, str]:
    """Return {picture without ending: its split} from the list's words; raises DataError for another row."""
    for row in lines:
        if len(row) != 2 or row[1] not in _SPLITS:
            raise DataError(
                f"'{PARTITION}', row '{' '.join(row)}', is not a name and 0, 1 or 2: fetch it anew."
            )
    return {_stem(name): _SPLITS[split] for name, split in lines}

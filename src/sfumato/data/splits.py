"""Which examples a source itself sets aside, by the names of its folders and files.

`train` beside `test` (or `val`, `valid`, `validation`) are the splits; the first of these that is there is
held out. `training`, `testing`, `eval`, `evaluation` and `dev` are other words for them. Numbers may follow,
as in `train-00000-of-00002.parquet` or `test-0003.tar`, the ways of the Hugging Face hub and of WebDataset.
https://huggingface.co/docs/hub/datasets-file-names-and-splits
"""

import re
from collections.abc import Sequence

import numpy as np

from sfumato.data.dataset import Skipped

TEST_FOLDERS = ("test", "val", "valid", "validation")  # the first one found is held out
_OTHER_WORDS = {
    "training": "train",
    "testing": "test",
    "eval": "test",
    "evaluation": "test",
    "dev": "validation",
}
_NAMES = "|".join(("train", *TEST_FOLDERS, *_OTHER_WORDS))
_SPLIT = re.compile(rf"({_NAMES})([-_.][0-9][^/]*)?(\.(tar|zip|parquet|arrow))?")


def split_of(part: str) -> str:
    """Return the split that one part of a path names, such as "test" of "Testing-01.tar", else the part.

    In lower case, so that splits compare alike.
    """
    match = _SPLIT.fullmatch(part.lower())
    return _OTHER_WORDS.get(match.group(1), match.group(1)) if match else part.lower()


def is_split(part: str) -> bool:
    """Return whether one part of a path names a split."""
    return _SPLIT.fullmatch(part.lower()) is not None


def sort_out(splits: Sequence[str]) -> tuple[np.ndarray, np.ndarray | None, tuple[Skipped, ...]]:
    """Choose what is used of N things, of which each belongs to one of `splits`.

    Returns the places used, int64 (M,), which of them are held out, bool (M,), and what is left out. Where
    there is no training split beside a held-out one, all are used and none is marked: None.
    """
    test = next((name for name in TEST_FOLDERS if name in splits), None)
    if test is None or "train" not in splits:
        return np.arange(len(splits)), None, ()
    used = np.array([place for place, name in enumerate(splits) if name in ("train", test)])
    why = f"not used: train and {test} are the splits"
    others = sorted(set(splits) - {"train", test})
    skipped = tuple(Skipped(f"{name or 'pictures'} beside {test}", why) for name in others)
    return used, np.array([splits[place] == test for place in used]), skipped

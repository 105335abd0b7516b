"""From what the user names to a data set: find, read, name the classes, hold some examples out."""

import torch
from torch import Tensor

from sfumato.data.binarise import binarised
from sfumato.data.dataset import Dataset, Skipped, Split
from sfumato.data.forms import WantedForm, settle
from sfumato.data.found import Found
from sfumato.data.gather import Progress, gather
from sfumato.data.labels import encode
from sfumato.data.sources import Source, find, names
from sfumato.data.store import MemoryStore, Store
from sfumato.errors import ConfigError, DataError
from sfumato.randomness import generator


def load_data(
    source: Source,
    *,
    size: int | None = None,
    channels: int | None = None,
    background: str = "white",
    held_out: float = 0.1,
    seed: int = 0,
    binarise: bool = False,
    memory_limit: int = 4 * 2**30,
    progress: Progress | None = None,
) -> Dataset:
    """Load a data set.

    source: a built-in name (`BUILT_IN`), a folder, .zip or .tar of pictures, a .parquet, .npy or .npz, an
    array, or a data set of the Hugging Face hub, such as "hf:owner/name";
    size: pixels a side, at least 8, and channels, 1 or 3: None takes what suits the data;
    background: the colour behind transparent pictures;
    held_out: share of the examples, in [0, 1), to hold out where the source has no test split of its own, at
    least one unless it is 0; seed: of that choice, and of data drawn by a formula or to be black and white;
    binarise: whether grey pictures are made black and white, see `data.binarise`;
    memory_limit: bytes; pictures that take more are decoded again whenever they are needed;
    progress: told (done, total) while pictures are read.

    Raises ConfigError for a setting out of range, DataError for a source that is missing or unfit.
    """
    wish = WantedForm(size, channels, background)
    if not 0 <= held_out < 1:
        raise ConfigError(f"The held-out share is {held_out}: give a number from 0 to below 1, such as 0.1.")
    found = find(source, seed, memory_limit)
    name, where = names(source)
    store, rows, unreadable = _store(found, wish, memory_limit, progress)
    if len(rows) < 2:
        raise DataError(_too_few(where, len(rows), unreadable))
    # A test split of which nothing is known, as of a competition, is left out and has said so.
    is_own = found.held_out is not None and found.held_out.any()
    held = _own_split(found, rows, where) if is_own else _draw(len(rows), held_out, seed)
    whole, classes = _whole(found, store, rows)
    train, test = (whole.select(chosen.nonzero()[:, 0]) for chosen in (~held, held))
    reading = {
        "size": size,
        "channels": channels,
        "background": background,
        "held_out": held_out,
        "seed": seed,
    }
    skipped = found.skipped + unreadable
    dataset = Dataset(name, where, train, test, classes, skipped, reading, found.attribute_names)
    return binarised(dataset, seed) if binarise else dataset


def _store(
    found: Found, wish: WantedForm, memory_limit: int, progress: Progress | None
) -> tuple[Store, Tensor, tuple[Skipped, ...]]:
    """Return a store of the readable examples, their places in `found`, and the others."""
    if not isinstance(found.examples, Tensor):
        return gather(found.examples, settle(found.examples, wish), memory_limit, progress)
    if not wish.is_open:
        raise ConfigError(
            "These examples are vectors, which cannot be brought to a size or to channels as pictures can: "
            "name pictures, or leave both out."
        )
    return MemoryStore(found.examples), torch.arange(len(found.examples)), ()


def _too_few(where: str, count: int, unreadable: tuple[Skipped, ...]) -> str:
    first = f"; '{unreadable[0].name}': {unreadable[0].reason}" if unreadable else ""
    broken = f" ({len(unreadable)} unreadable{first})" if unreadable else ""
    return f"'{where}' has {count} readable examples{broken}: give at least 2."


def _own_split(found: Found, rows: Tensor, where: str) -> Tensor:
    """Return which of the readable examples are the source's own test examples: bool (N,)."""
    held = torch.from_numpy(found.held_out)[rows]
    if held.all() or not held.any():
        first = f" ('{found.skipped[0].name}': {found.skipped[0].reason})" if found.skipped else ""
        raise DataError(
            f"One of the two splits of '{where}' has no readable example{first}: mend or remove it."
        )
    return held


def _draw(count: int, share: float, seed: int) -> Tensor:
    """Choose a share of `count` examples: bool (N,), at least one true unless the share is 0."""
    number = min(count - 1, max(1, round(count * share))) if share else 0
    order = torch.randperm(count, generator=generator(seed, "held-out"))
    return torch.zeros(count, dtype=torch.bool).index_fill(0, order[:number], True)


def _whole(found: Found, store: Store, rows: Tensor) -> tuple[Split, tuple[str, ...]]:
    """Return the readable examples, those at `rows`, with what belongs to each, and the classes' names."""
    readable = rows.numpy()
    labels, classes = None, found.classes
    if found.labels is not None:
        labels, classes = encode(found.labels[readable], classes)
    captions = found.captions and tuple(found.captions[row] for row in rows.tolist())
    attributes = None if found.attributes is None else torch.from_numpy(found.attributes[readable])
    return Split(store, labels, captions, attributes), classes

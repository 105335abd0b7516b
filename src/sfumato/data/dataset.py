"""A data set: examples to learn from, examples held out, and what is known about both."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from torch import Tensor

from sfumato.data.store import Store


@dataclass(frozen=True)
class Skipped:
    """A file or example that was left out, and why."""

    name: str
    reason: str


@dataclass(frozen=True, eq=False)
class Split:
    """Examples and what belongs to each.

    store: N examples; labels: int64 (N,), places in the data set's `classes`, or None;
    captions: N texts, or None; attributes: bool (N, A), which of the data set's `attributes` hold, or None.
    """

    store: Store
    labels: Tensor | None
    captions: tuple[str, ...] | None = None
    attributes: Tensor | None = None

    def __len__(self) -> int:
        return len(self.store)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one example: (C, H, W) or (D,)."""
        return self.store.shape

    def batch(self, indices: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the examples at `indices`, int64 (B,), and their labels: (B, ...), int64 (B,) or None."""
        labels = None if self.labels is None else self.labels[indices]
        return self.store.take(indices), labels

    def select(self, indices: Tensor) -> "Split":
        """Return the examples at `indices`, int64 (M,), with what belongs to each; none is copied."""
        return Split(
            self.store.select(indices),
            None if self.labels is None else self.labels[indices],
            None if self.captions is None else tuple(self.captions[place] for place in indices.tolist()),
            None if self.attributes is None else self.attributes[indices],
        )


@dataclass(frozen=True, eq=False)
class Dataset:
    """Two splits of one source.

    name: short, for titles; source: what the user named; classes: the labels' names, () where unlabelled;
    skipped: what was left out of the source; reading: the arguments with which `load_data` read it, so that a
    run can read it alike again; attributes: names of what an example may have or not, () where none are told.
    """

    name: str
    source: str
    train: Split
    held_out: Split
    classes: tuple[str, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    reading: Mapping[str, object] = field(default_factory=dict)
    attributes: tuple[str, ...] = ()

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one example: (C, H, W) or (D,)."""
        return self.train.shape

    @property
    def unseen(self) -> Split:
        """The examples held out, or where none are, those to learn from."""
        return self.held_out if len(self.held_out) else self.train

    @property
    def is_pictures(self) -> bool:
        """Whether the examples are pictures rather than vectors."""
        return len(self.shape) == 3

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 over the decoded examples of both splits, what is known of each, and the names of that.

        Neither names nor containers count: a folder, its zip, and the same folder streamed hash alike, while
        another size, background or held-out share does not.
        """
        whole = hashlib.sha256(json.dumps([self.shape, self.classes]).encode())
        for split in (self.train, self.held_out):
            labels = None if split.labels is None else split.labels.tolist()
            whole.update(split.store.digest())
            whole.update(json.dumps([labels, split.captions]).encode())
            if split.attributes is not None:
                whole.update(json.dumps([self.attributes, split.attributes.tolist()]).encode())
        return whole.hexdigest()
